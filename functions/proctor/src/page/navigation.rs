//! Which requests are a person's browser that opens a page, and which of the two interfaces it is sent to.

use axum::http::{
    HeaderMap, HeaderName, Method,
    header::{ACCEPT, COOKIE},
};
use common::settings::PageSettings;

use super::{below, interfaces::Interface, is_below};

/// The cookie in which a browser keeps which interface its user prefers.
const COOKIE_NAME: &str = "prefect_ui_version";

/// Says whether the request opens a page in a window or a frame.
pub(super) fn is_navigation(method: &Method, headers: &HeaderMap) -> bool {
    let is = |name: &'static str, values: &[&str]| {
        headers.get(HeaderName::from_static(name)).is_some_and(|value| values.iter().any(|wanted| value == wanted))
    };
    [Method::GET, Method::HEAD].contains(method)
        && (is("sec-fetch-mode", &["navigate"])
            || is("sec-fetch-dest", &["document", "iframe"])
            || accepted(headers).to_ascii_lowercase().contains("text/html"))
}

/// Says whether `Accept` names HTML, and not to refuse it.
pub(super) fn accepts_html(headers: &HeaderMap) -> bool {
    accepted(headers).split(',').any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let media_type = parts.next().unwrap_or_default().to_ascii_lowercase();
        let quality = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        let is_refused = quality.and_then(|quality| quality.parse::<f64>().ok()).is_some_and(|quality| quality == 0.0);
        ["text/html", "application/xhtml+xml"].contains(&media_type.as_str()) && !is_refused
    })
}

fn accepted(headers: &HeaderMap) -> &str {
    headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default()
}

/// Returns the path that a browser at `path` is sent to, unless it stays; `raw` is that path as it came.
///
/// The root leads to the interface that is preferred, and the second interface to the first where there is no second.
pub(super) fn elsewhere(
    settings: &PageSettings,
    available: [bool; 2],
    path: &str,
    raw: &str,
    headers: &HeaderMap,
) -> Option<String> {
    let [first, second] = &settings.bases;
    let (asked, base) = if is_below(second, path) {
        (Interface::Second, second)
    } else if is_below(first, path) {
        (Interface::First, first)
    } else {
        return None;
    };
    let rest = raw.strip_prefix(base.trim_end_matches('/')).unwrap_or_default();
    // More than one slash at the start of a location is the name of another server.
    let rest = format!("/{}", rest.trim_start_matches(['/', '\\']));
    let stays =
        if asked == Interface::Second { available[asked.index()] } else { path != base && path != below(base, "/") };
    let preferred = preferred(settings, available, headers)?;
    (!stays && preferred != asked).then(|| below(&settings.bases[preferred.index()], &rest))
}

/// Returns the interface that the browser prefers, or else the one that is the default, of those that are available.
fn preferred(settings: &PageSettings, available: [bool; 2], headers: &HeaderMap) -> Option<Interface> {
    let of_browser = cookie(headers).and_then(Interface::of_name).filter(|interface| available[interface.index()]);
    of_browser.or_else(|| settings.default_interface(available).map(|index| Interface::ALL[index]))
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(COOKIE).into_iter().filter_map(|cookies| cookies.to_str().ok());
    let mut pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.split_once('='));
    pairs.find(|(name, _)| name.trim() == COOKIE_NAME).map(|(_, value)| value.trim().trim_matches('"'))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn html_counts_where_it_is_named_and_not_refused() {
        for (accept, counts) in [
            ("text/html", true),
            ("application/json, Text/HTML; q=0.1", true),
            ("application/xhtml+xml", true),
            ("text/html;q=wrong", true),
            ("text/html;q=0", false),
            ("text/html; q=0.0", false),
            ("*/*", false),
            ("text/*", false),
            ("", false),
        ] {
            assert_eq!(accepts_html(&headers(&[("accept", accept)])), counts, "{accept}");
        }
    }

    #[test]
    fn the_root_leads_to_the_preferred_interface() {
        let target = |settings: &PageSettings, available, path: &'static str, cookie: &'static str| {
            elsewhere(settings, available, path, path, &headers(&[("cookie", cookie)]))
        };
        let default = PageSettings::default();
        let both = [true, true];
        assert_eq!(target(&default, both, "/", "").as_deref(), Some("/v2/"));
        assert_eq!(target(&default, both, "/", "a=b; prefect_ui_version=v1"), None);
        assert_eq!(target(&default, both, "/", "prefect_ui_version=v3").as_deref(), Some("/v2/"));
        assert_eq!(target(&default, both, "/runs", ""), None);
        assert_eq!(target(&default, [true, false], "/", ""), None);
        assert_eq!(target(&default, [true, false], "/v2/runs", "").as_deref(), Some("/runs"));
        assert_eq!(target(&default, [false, false], "/", ""), None);
        let first = PageSettings { prefers_second: false, ..PageSettings::default() };
        assert_eq!(target(&first, both, "/", ""), None);
        assert_eq!(target(&first, both, "/", "prefect_ui_version=v2").as_deref(), Some("/v2/"));
        assert_eq!(target(&first, [false, true], "/", "").as_deref(), Some("/v2/"));
    }

    #[test]
    fn no_redirect_leads_to_another_server() {
        let target = |path: &str| elsewhere(&PageSettings::default(), [true, false], path, path, &HeaderMap::new());
        assert_eq!(target("/v2//elsewhere.example/").as_deref(), Some("/elsewhere.example/"));
        assert_eq!(target("/v2/\\elsewhere.example/").as_deref(), Some("/elsewhere.example/"));
    }
}
