//! The page: Prefect's own user interfaces, served as Prefect's server serves them.
//!
//! Their files are none of ours: `proctor assets` takes them from a package. Where they are missing, a small page of ours
//! says which command gets them (`start`). The operations at `/docs` are shown by Swagger UI, from this binary.

pub mod bucket;
mod docs;
mod fetch;
mod file;
mod interfaces;
mod navigation;
mod policy;
mod start;
mod ui_settings;

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Router,
    extract::{Request, State},
    http::{
        HeaderValue, Method, StatusCode, Uri,
        header::{ALLOW, LOCATION},
    },
    response::{IntoResponse, Response},
};
use common::{
    App,
    assets::Assets,
    domain::access::Mode,
    http::{Json, Pages},
    settings::PageSettings,
};
use percent_encoding::percent_decode_str;
use serde_json::json;
use tokio::sync::watch;

use docs::Docs;
pub use fetch::{Fetching, fetch};
use interfaces::{Interface, Interfaces};
use policy::Policy;

/// The icons that Prefect's pages name at the root, where Prefect has none.
const ICONS: [&str; 2] = ["/favicon.ico", "/favicon-dark.ico"];

/// The page of a server.
#[derive(Clone, Debug)]
pub struct Page(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    settings: PageSettings,
    /// Where the server listens.
    address: SocketAddr,
    /// What every path of the API starts with.
    api: String,
    asks_for_password: bool,
    asks_for_token: bool,
    assets: Arc<Assets>,
    interfaces: Interfaces,
    fetching: watch::Receiver<Fetching>,
    policy: Policy,
    docs: Docs,
}

impl Page {
    /// Makes the page of `app`, which listens on `address`; `fetching` says whether its files are on their way.
    pub fn new(app: &App, address: SocketAddr, fetching: watch::Receiver<Fetching>) -> Self {
        let settings = app.settings.page.clone();
        let asks_for_token = app.settings.csrf_protection_enabled;
        Self(Arc::new(Parts {
            address,
            asks_for_password: app.settings.access != Mode::Open,
            asks_for_token,
            assets: app.assets.clone(),
            interfaces: Interfaces::new(app.assets.clone(), settings.bases.clone()),
            fetching,
            policy: Policy::new(&settings),
            docs: Docs::new(&app.settings.base_path, asks_for_token),
            api: app.settings.base_path.clone(),
            settings,
        }))
    }

    /// Returns what the server answers with.
    pub fn pages(&self) -> Pages {
        Pages { docs: Some(self.0.docs.page()), others: Router::new().fallback(answer).with_state(self.clone()) }
    }
}

/// Answers what is asked of no operation and no document.
async fn answer(State(Page(page)): State<Page>, request: Request) -> Response {
    let (request, _) = request.into_parts();
    let (uri, method, headers) = (&request.uri, &request.method, &request.headers);
    let path = percent_decode_str(uri.path()).decode_utf8_lossy();
    let reads = [Method::GET, Method::HEAD].contains(method);
    if reads && let Some(file) = page.docs.file(&path).await {
        return file.answer(headers);
    }
    let current = if page.settings.enabled { page.interfaces.current().await } else { Ok(None) };
    let available =
        current.as_ref().ok().and_then(Option::as_ref).map(|current| current.available()).unwrap_or_default();
    let settings_path = below(&page.settings.bases[0], "/ui-settings");
    if path == settings_path {
        return if *method == Method::GET { ui_settings::answer(&page, available, headers) } else { only_get() };
    }
    if path.strip_suffix('/') == Some(&settings_path) {
        return redirect(&settings_path, uri);
    }
    let current = match current {
        Ok(Some(current)) => current,
        Ok(None) => return start::answer(&page, &path, &request, None),
        Err(error) => return start::answer(&page, &path, &request, Some(&error)),
    };
    if navigation::is_navigation(method, headers)
        && let Some(target) = navigation::elsewhere(&page.settings, available, &path, uri.path(), headers)
    {
        return redirect(&target, uri);
    }
    let path = if reads && ICONS.contains(&&*path) {
        below(&page.settings.bases[0], &format!("/ico{path}")).into()
    } else {
        path
    };
    let Some(interface) = interface_of(&page.settings, available, &path) else { return not_found() };
    let base = &page.settings.bases[interface.index()];
    if reads && base != "/" && path == base.as_str() {
        return redirect(&format!("{base}/"), uri);
    }
    let file = match current.file(interface, path.strip_prefix(base.trim_end_matches('/')).unwrap_or(&path)).await {
        Ok(Some(_)) if !reads => return not_allowed(),
        Ok(None) if reads && navigation::accepts_html(headers) => current.file(interface, "").await,
        found => found,
    };
    match file {
        Ok(Some(file)) => page.policy.around(file.answer(headers)),
        Ok(None) => not_found(),
        Err(error) => error.into_response(),
    }
}

/// Returns the interface that is served at `path`, if any is.
fn interface_of(settings: &PageSettings, available: [bool; 2], path: &str) -> Option<Interface> {
    let is_at =
        |interface: &Interface| available[interface.index()] && is_below(&settings.bases[interface.index()], path);
    [Interface::Second, Interface::First].into_iter().find(is_at)
}

/// Says whether `path` is `base` or below it.
fn is_below(base: &str, path: &str) -> bool {
    base == "/" || path.strip_prefix(base).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Returns the path of `rest`, which begins with a slash, below `base`.
fn below(base: &str, rest: &str) -> String {
    format!("{}{rest}", base.trim_end_matches('/'))
}

/// Redirects to `path` of this server, with the query of `uri`.
fn redirect(path: &str, uri: &Uri) -> Response {
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    match HeaderValue::from_str(&format!("{path}{query}")) {
        Ok(location) => (StatusCode::TEMPORARY_REDIRECT, [(LOCATION, location)]).into_response(),
        Err(_) => not_found(),
    }
}

fn not_found() -> Response {
    (StatusCode::NOT_FOUND, Json(json!({ "detail": "Not Found" }))).into_response()
}

fn not_allowed() -> Response {
    (StatusCode::METHOD_NOT_ALLOWED, Json(json!({ "detail": "Method Not Allowed" }))).into_response()
}

fn only_get() -> Response {
    ([(ALLOW, "GET")], not_allowed()).into_response()
}
