//! The page of our own, in the place of an interface whose files are not there.

use axum::{
    http::{
        Method,
        header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS},
        request,
    },
    response::{Html, IntoResponse, Response},
};
use common::{
    Error,
    assets::{COMMAND, RELEASE},
};

use super::{Fetching, Parts, below, navigation, not_found};
use crate::{server::reachable, views};

const PAGE: &str = include_str!("start.html");

/// How often the page looks whether the files are there, while they are fetched.
const REFRESH: &str = "<meta http-equiv=\"refresh\" content=\"3\">\n";

const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Answers with the page where a browser would get an interface, and else that there is nothing.
pub(super) fn answer(page: &Parts, path: &str, request: &request::Parts, error: Option<&Error>) -> Response {
    let base = &page.settings.bases[0];
    let is_root = [base.as_str(), &below(base, "/"), "/"].contains(&path);
    // A link to a run leads to the interface as soon as its files are there.
    let is_deep_link = page.settings.enabled && navigation::accepts_html(&request.headers);
    if ![Method::GET, Method::HEAD].contains(&request.method) || !(is_root || is_deep_link) {
        return not_found();
    }
    let fetching = page.fetching.borrow().clone();
    let state = state(page, &fetching, error);
    let is_fetching = matches!(fetching, Fetching::Running { .. });
    let url =
        page.settings.api_url.clone().unwrap_or_else(|| format!("http://{}{}", reachable(page.address), page.api));
    let html = PAGE
        .replace("{refresh}", if is_fetching { REFRESH } else { "" })
        .replace("{release}", RELEASE)
        .replace("{api_url}", &escaped(&url))
        .replace("{views}", &views::path(&page.api))
        .replace("{api}", &page.api)
        .replace("{state}", &state);
    let headers = [
        (CACHE_CONTROL, "no-store"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
    ];
    (headers, Html(html)).into_response()
}

/// Says what is missing, and what mends it.
fn state(page: &Parts, fetching: &Fetching, error: Option<&Error>) -> String {
    if !page.settings.enabled {
        return "<p>It is switched off, by <code>--no-ui</code> or by <code>PREFECT_SERVER_UI_ENABLED=false</code>. \
                Start the server without these to show it.</p>"
            .to_owned();
    }
    let folder = page.assets.folder().map(|folder| folder.display().to_string()).unwrap_or_default();
    let command = format!("<pre tabindex=\"0\"><code>{COMMAND} --into {}</code></pre>", escaped(&quoted(&folder)));
    let mend = format!(
        "<p>This command takes them from an installed <code>prefect</code> of release {RELEASE}, or else from its \
         wheel. The server need not be restarted:</p>{command}"
    );
    match (fetching, error) {
        (Fetching::Running { since }, _) => format!(
            "<p>Its files are Prefect's, and no part of this server. They are fetched at the moment, for {} seconds so \
             far. This page changes to the interface as soon as they are there.</p>",
            since.elapsed().as_secs()
        ),
        (Fetching::Failed(reason), _) => format!(
            "<p>Its files are Prefect's, and no part of this server. They could not be fetched:</p>\
             <pre tabindex=\"0\"><code>{}</code></pre>{mend}",
            escaped(reason)
        ),
        (Fetching::No, Some(Error::NotFound(_))) => {
            format!("<p>Its files are Prefect's, and no part of this server. They are not there yet.</p>{mend}")
        }
        (Fetching::No, Some(error)) => format!("<p>Its files can't be read: {}</p>{mend}", escaped(&error.to_string())),
        (Fetching::No, None) => format!("<p>The folder of assets was made without the interface's files.</p>{mend}"),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Returns `text` as one word of a shell.
fn quoted(text: &str) -> String {
    let is_plain = text.chars().all(|letter| letter.is_alphanumeric() || "-_./~+,:@%".contains(letter));
    if is_plain && !text.is_empty() { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_one_word_of_the_command() {
        assert_eq!(quoted("data/assets"), "data/assets");
        assert_eq!(quoted("my data; rm"), "'my data; rm'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
