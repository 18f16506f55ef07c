//! `GET /ui-settings`: what Prefect's user interfaces ask for before anything else.

use axum::{
    http::{HeaderMap, header::HOST},
    response::{IntoResponse, Response},
};
use common::http::{Json, ui::UiSettings};

use super::Parts;
use crate::server::reachable;

/// Answers with the settings of the interfaces that are `available`.
pub(super) fn answer(page: &Parts, available: [bool; 2], headers: &HeaderMap) -> Response {
    let api_url = api_url(page, headers);
    Json(UiSettings::new(&page.settings, page.asks_for_password, page.asks_for_token, api_url, available))
        .into_response()
}

/// Returns where the browser finds the API.
///
/// A server that listens on all addresses is reached by whatever address the browser came by.
fn api_url(page: &Parts, headers: &HeaderMap) -> String {
    if let Some(set) = &page.settings.api_url {
        return set.clone();
    }
    let of_browser =
        headers.get(HOST).and_then(|host| host.to_str().ok()).filter(|_| page.address.ip().is_unspecified());
    let host = of_browser.map_or_else(|| reachable(page.address).to_string(), str::to_owned);
    let scheme = headers.get("x-forwarded-proto").filter(|scheme| *scheme == "https").map_or("http", |_| "https");
    let scheme = of_browser.map_or("http", |_| scheme);
    format!("{scheme}://{host}{}", page.api)
}
