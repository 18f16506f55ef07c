//! What Prefect's user interfaces need of whoever serves them: `/ui-settings`, and what browsers let their pages do.
//!
//! Their files are served by the local server, and in the cloud by a bucket behind CloudFront.

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode, header::HOST},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Serialize;
use serde_json::json;

use crate::{Json, Pages};
use domain::access::Mode;
use services::App;
use settings::PageSettings;

/// Prefect's names for its two interfaces.
pub const NAMES: [&str; 2] = ["v1", "v2"];

/// The content security policy of the page at `/docs`.
pub const DOCS_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
                               img-src 'self' data:; font-src 'self' data:; connect-src 'self'; base-uri 'none'; \
                               form-action 'self'; frame-ancestors 'none'";

/// The content security policy of our own views: nothing comes from elsewhere, and no page of others frames them.
pub const VIEWS_POLICY: &str =
    "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'";

/// The answer of `GET /ui-settings`, which the interfaces ask for before anything else, in Prefect's words and order.
#[derive(Debug, Serialize)]
pub struct UiSettings<'s> {
    api_url: String,
    csrf_enabled: bool,
    auth: Option<&'static str>,
    flags: [(); 0],
    default_ui: &'static str,
    available_uis: Vec<&'static str>,
    v1_base_url: Option<&'s str>,
    v2_base_url: Option<&'s str>,
}

impl<'s> UiSettings<'s> {
    /// Makes the answer for a browser that finds the API at `api_url`, and those interfaces that are `available`.
    pub fn new(
        settings: &'s PageSettings,
        asks_for_password: bool,
        asks_for_token: bool,
        api_url: String,
        available: [bool; 2],
    ) -> Self {
        let [first, second] = [0, 1].map(|index| available[index].then_some(settings.bases[index].as_str()));
        let default = settings.default_interface(available).unwrap_or(settings.prefers_second.into());
        Self {
            api_url,
            csrf_enabled: asks_for_token,
            // The login of the interfaces takes a key as it takes a password.
            auth: asks_for_password.then_some("BASIC"),
            flags: [],
            default_ui: NAMES[default],
            available_uis: NAMES.iter().zip(available).filter(|(_, is)| *is).map(|(name, _)| *name).collect(),
            v1_base_url: first,
            v2_base_url: second,
        }
    }
}

/// Returns the content security policy of the interfaces' pages.
///
/// The pages load nothing from other servers: the second interface calls an analytics service on every page whatever
/// its settings say, and both show logos of two others.
pub fn content_security_policy(settings: &PageSettings) -> String {
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

/// Makes the pages of a server whose files lie elsewhere: `/ui-settings`, and that nothing else is there.
///
/// Nobody is asked for a password or a key, as the files beside it ask nobody.
pub fn pages(app: &App) -> Pages {
    let others = Router::new()
        .route("/ui-settings", get(answer_settings).fallback(refuse_method))
        .fallback(not_found)
        .with_state(app.clone());
    Pages { docs: None, others }
}

async fn answer_settings(State(app): State<App>, headers: HeaderMap) -> Response {
    let settings = &app.settings;
    let api_url = settings.page.api_url.clone().unwrap_or_else(|| api_url(&settings.base_path, &headers));
    let asks_for_password = settings.access != Mode::Open;
    let available = [true, true];
    Json(UiSettings::new(&settings.page, asks_for_password, settings.csrf_protection_enabled, api_url, available))
        .into_response()
}

/// Returns the address of the API at `path` by which the request came.
fn api_url(path: &str, headers: &HeaderMap) -> String {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let scheme = text("x-forwarded-proto").filter(|scheme| *scheme == "https").map_or("http", |_| "https");
    // A path alone stands for the server of the page.
    text(HOST.as_str()).map_or_else(|| path.to_owned(), |host| format!("{scheme}://{host}{path}"))
}

async fn refuse_method() -> Response {
    let body = Json(json!({ "detail": "Method Not Allowed" }));
    (StatusCode::METHOD_NOT_ALLOWED, [("allow", "GET")], body).into_response()
}

async fn not_found() -> Response {
    (StatusCode::NOT_FOUND, Json(json!({ "detail": "Not Found" }))).into_response()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn told(settings: &PageSettings, available: [bool; 2]) -> String {
        let answer = UiSettings::new(settings, true, false, "https://host/api".into(), available);
        serde_json::to_string(&answer).unwrap()
    }

    #[test]
    fn the_settings_are_in_prefects_order() {
        assert_eq!(
            told(&PageSettings::default(), [true, true]),
            r#"{"api_url":"https://host/api","csrf_enabled":false,"auth":"BASIC","flags":[],"default_ui":"v2","#
                .to_owned()
                + r#""available_uis":["v1","v2"],"v1_base_url":"/","v2_base_url":"/v2"}"#
        );
        let alone = told(&PageSettings::default(), [true, false]);
        assert!(alone.contains(r#""default_ui":"v1","available_uis":["v1"],"v1_base_url":"/","v2_base_url":null"#));
        let first = PageSettings { prefers_second: false, ..PageSettings::default() };
        assert!(told(&first, [true, true]).contains(r#""default_ui":"v1""#));
    }

    #[test]
    fn the_api_is_where_the_browser_came_by() {
        let headers = |scheme: &'static str| {
            HeaderMap::from_iter([
                (HOST, HeaderValue::from_static("host:1")),
                ("x-forwarded-proto".parse().unwrap(), HeaderValue::from_static(scheme)),
            ])
        };
        assert_eq!(api_url("/api", &headers("https")), "https://host:1/api");
        assert_eq!(api_url("/api", &headers("javascript")), "http://host:1/api");
        assert_eq!(api_url("/api", &HeaderMap::new()), "/api");
    }

    #[test]
    fn other_servers_are_left_out_unless_they_are_allowed() {
        let policy = content_security_policy(&PageSettings::default());
        assert!(!policy.contains("http") && policy.contains("frame-ancestors 'none'"), "{policy}");
        let policy = content_security_policy(&PageSettings {
            allowed_sources: "https://logos.example".into(),
            frame_ancestors: "https://portal.example".into(),
            ..PageSettings::default()
        });
        assert!(policy.contains("img-src 'self' data: blob: https://logos.example;"), "{policy}");
        assert!(policy.ends_with("frame-ancestors https://portal.example"), "{policy}");
    }

    #[test]
    fn the_api_may_be_elsewhere() {
        let settings =
            PageSettings { api_url: Some("https://u:p@api.example:8443/api".into()), ..PageSettings::default() };
        let policy = content_security_policy(&settings);
        assert!(policy.contains("connect-src 'self' https://api.example:8443 wss://api.example:8443;"), "{policy}");
        assert_eq!(origins("https://a.example; script-src *"), None);
    }
}
