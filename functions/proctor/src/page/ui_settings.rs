//! `GET /ui-settings`: what Prefect's user interfaces ask for before anything else.

use axum::{
    http::{HeaderMap, header::HOST},
    response::{IntoResponse, Response},
};
use common::http::Json;
use serde::Serialize;

use super::{
    Parts,
    interfaces::Interface::{self, First, Second},
    navigation,
};
use crate::server::reachable;

/// The answer, in Prefect's words and order.
#[derive(Serialize)]
struct UiSettings<'p> {
    api_url: String,
    csrf_enabled: bool,
    auth: Option<&'static str>,
    flags: [(); 0],
    default_ui: &'static str,
    available_uis: Vec<&'static str>,
    v1_base_url: Option<&'p str>,
    v2_base_url: Option<&'p str>,
}

/// Answers with the settings of the interfaces that are `available`.
pub(super) fn answer(page: &Parts, available: [bool; 2], headers: &HeaderMap) -> Response {
    let settings = &page.settings;
    let is_available = |interface: &Interface| available[interface.index()];
    let base =
        |interface: Interface| Some(settings.bases[interface.index()].as_str()).filter(|_| is_available(&interface));
    let set = if settings.prefers_second { Second } else { First };
    let default = navigation::default(settings, available).unwrap_or(set);
    Json(UiSettings {
        api_url: api_url(page, headers),
        csrf_enabled: page.asks_for_token,
        // The login of the interfaces takes a key as it takes a password.
        auth: page.asks_for_password.then_some("BASIC"),
        flags: [],
        default_ui: default.name(),
        available_uis: [First, Second].iter().filter(|one| is_available(one)).map(|one| one.name()).collect(),
        v1_base_url: base(First),
        v2_base_url: base(Second),
    })
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
