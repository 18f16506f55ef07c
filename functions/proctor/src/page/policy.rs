//! What the browser is told that the interface may do.

use axum::{
    http::{
        HeaderName, HeaderValue,
        header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_FRAME_OPTIONS},
    },
    response::Response,
};
use common::settings::PageSettings;

/// The headers of the interface's pages.
///
/// The interface loads nothing from other servers: the second one calls an analytics service on every page whatever its
/// settings say, and both show logos of two others.
#[derive(Debug)]
pub(super) struct Policy {
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Policy {
    pub(super) fn new(settings: &PageSettings) -> Self {
        let policy = settings.policy.clone().unwrap_or_else(|| policy(settings));
        let frames = match settings.frame_ancestors.as_str() {
            "'none'" | "" => "DENY",
            "'self'" => "SAMEORIGIN",
            // The header can't say it, and the policy does.
            _ => "",
        };
        let headers = [
            (CONTENT_SECURITY_POLICY, policy.as_str()),
            (X_FRAME_OPTIONS, if settings.policy.is_some() { "" } else { frames }),
            // The address of a run is nobody else's business.
            (REFERRER_POLICY, "same-origin"),
        ];
        let headers = headers.into_iter().filter(|(_, value)| !value.is_empty());
        Self { headers: headers.filter_map(|(name, value)| Some((name, value.parse().ok()?))).collect() }
    }

    /// Puts the headers on a page; on other files they say nothing.
    pub(super) fn around(&self, mut response: Response) -> Response {
        let is_page =
            response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
        if is_page || response.status().is_redirection() {
            response.headers_mut().extend(self.headers.iter().cloned());
        }
        response
    }
}

fn policy(settings: &PageSettings) -> String {
    let more =
        if settings.allowed_sources.is_empty() { String::new() } else { format!(" {}", settings.allowed_sources) };
    let api = settings.api_url.as_deref().and_then(origins).unwrap_or_default();
    let frames = if settings.frame_ancestors.is_empty() { "'none'" } else { &settings.frame_ancestors };
    [
        format!("default-src 'self'{more}"),
        // Both interfaces compile the schemas of parameters into functions.
        format!("script-src 'self' 'unsafe-eval'{more}"),
        format!("style-src 'self' 'unsafe-inline'{more}"),
        format!("img-src 'self' data: blob:{more}"),
        format!("font-src 'self' data:{more}"),
        format!("connect-src 'self'{api}{more}"),
        format!("worker-src 'self' blob:{more}"),
        "object-src 'none'".to_owned(),
        "base-uri 'self'".to_owned(),
        "form-action 'self'".to_owned(),
        format!("frame-ancestors {frames}"),
    ]
    .join("; ")
}

/// Returns the sources that stand for the server of `url`, over HTTP and over websockets.
fn origins(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let host = rest.split(['/', '?', '#']).next()?.rsplit('@').next()?;
    let websocket = if scheme == "https" { "wss" } else { "ws" };
    let is_plain = host.chars().all(|letter| letter.is_ascii_alphanumeric() || "-.:[]".contains(letter));
    (is_plain && ["http", "https"].contains(&scheme)).then(|| format!(" {scheme}://{host} {websocket}://{host}"))
}

#[cfg(test)]
mod tests {
    use axum::response::{Html, IntoResponse};

    use super::*;

    fn told(settings: &PageSettings) -> axum::http::HeaderMap {
        Policy::new(settings).around(Html("").into_response()).headers().clone()
    }

    #[test]
    fn other_servers_are_left_out_unless_they_are_allowed() {
        let headers = told(&PageSettings::default());
        let policy = headers[CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(!policy.contains("http") && policy.contains("frame-ancestors 'none'"), "{policy}");
        assert_eq!(headers[X_FRAME_OPTIONS], "DENY");
        let looser = PageSettings {
            allowed_sources: "https://logos.example".into(),
            frame_ancestors: "https://portal.example".into(),
            ..PageSettings::default()
        };
        let headers = told(&looser);
        let policy = headers[CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.contains("img-src 'self' data: blob: https://logos.example;"), "{policy}");
        assert!(policy.ends_with("frame-ancestors https://portal.example"), "{policy}");
        assert!(headers.get(X_FRAME_OPTIONS).is_none());
    }

    #[test]
    fn the_api_may_be_elsewhere() {
        let settings =
            PageSettings { api_url: Some("https://u:p@api.example:8443/api".into()), ..PageSettings::default() };
        let headers = told(&settings);
        let policy = headers[CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.contains("connect-src 'self' https://api.example:8443 wss://api.example:8443;"), "{policy}");
        assert_eq!(origins("https://a.example; script-src *"), None);
    }

    #[test]
    fn the_policy_can_be_replaced_and_left_out() {
        let with = |policy: &str| told(&PageSettings { policy: Some(policy.into()), ..PageSettings::default() });
        assert_eq!(with("default-src *")[CONTENT_SECURITY_POLICY], "default-src *");
        assert!(with("").get(CONTENT_SECURITY_POLICY).is_none());
    }
}
