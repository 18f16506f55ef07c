//! Our own views: bulk operations, dead letters, how far the background is behind, API keys.
//!
//! They are static files: in the cloud the same ones lie in S3. They call the API beside them with what the browser's
//! tab was told, so they need no protection themselves. Where the API is elsewhere than at `../api`, their page is told.

use axum::{
    Router,
    body::Bytes,
    extract::RawQuery,
    http::{
        HeaderMap, HeaderName, HeaderValue, StatusCode,
        header::{
            ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, LOCATION, REFERRER_POLICY,
            X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
        },
    },
    response::{IntoResponse, Response},
    routing::{MethodRouter, get},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use common::{
    Settings,
    http::{Json, ui::VIEWS_POLICY},
};
use headers::{ETag, HeaderMapExt, IfNoneMatch};
use serde_json::json;
use sha2::{Digest, Sha256};

/// A file of the views.
struct File {
    /// Its path below that of the views.
    path: &'static str,
    media_type: &'static str,
    content: &'static [u8],
}

macro_rules! files {
    ($($path:literal: $media_type:literal, $name:literal;)+) => {
        &[$(File {
            path: $path,
            media_type: $media_type,
            content: include_bytes!(concat!("../../views/", $name)),
        }),+]
    };
}

/// The page.
const INDEX: &str = include_str!("../../views/index.html");

static FILES: &[File] = files! {
    "": "text/html; charset=utf-8", "index.html";
    "views.css": "text/css; charset=utf-8", "views.css";
    "icon.svg": "image/svg+xml", "icon.svg";
    "main.js": "text/javascript; charset=utf-8", "main.js";
    "api.js": "text/javascript; charset=utf-8", "api.js";
    "page.js": "text/javascript; charset=utf-8", "page.js";
    "operations.js": "text/javascript; charset=utf-8", "operations.js";
    "letters.js": "text/javascript; charset=utf-8", "letters.js";
    "lag.js": "text/javascript; charset=utf-8", "lag.js";
    "keys.js": "text/javascript; charset=utf-8", "keys.js";
};

/// What every answer says to the browser.
const HEADERS: [(HeaderName, HeaderValue); 5] = [
    (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    (CONTENT_SECURITY_POLICY, HeaderValue::from_static(VIEWS_POLICY)),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
];

/// Returns every file by its path below that of the views, with its media type; the page is `index.html`.
pub(crate) fn all() -> impl Iterator<Item = (&'static str, &'static str, &'static [u8])> {
    FILES
        .iter()
        .map(|file| (if file.path.is_empty() { "index.html" } else { file.path }, file.media_type, file.content))
}

/// Returns the path of the views beside an API at `base_path`, such as `/proctor/` beside `/api`.
pub fn path(base_path: &str) -> String {
    let beside = base_path.rsplit_once('/').map_or("", |(beside, _)| beside);
    format!("{beside}/proctor/")
}

/// Returns the page of the views of a server with these settings: it names the API, the start page and `/docs`.
fn page(settings: &Settings) -> Bytes {
    let (beside, name) = settings.base_path.rsplit_once('/').unwrap_or_default();
    let start = settings.page.bases[0].trim_end_matches('/');
    // What is relative holds also where a proxy puts a path in front of all.
    let (start, docs) = if beside.is_empty() && start.is_empty() {
        ("../".to_owned(), "../docs")
    } else {
        (format!("{start}/"), "/docs")
    };
    let page = INDEX
        .replace("data-api=\"../api/\"", &format!("data-api=\"../{name}/\""))
        .replace("href=\"../\"", &format!("href=\"{start}\""))
        .replace("href=\"../docs\"", &format!("href=\"{docs}\""));
    page.into()
}

/// Makes the routes of the views beside the API.
pub fn routes(settings: &Settings) -> Router {
    let path = path(&settings.base_path);
    let mut routes = Router::new();
    for file in FILES {
        let content = if file.path.is_empty() { page(settings) } else { Bytes::from_static(file.content) };
        routes = routes.route(&format!("{path}{}", file.path), served(file.media_type, content));
    }
    let redirected = path.clone();
    let redirect = get(async move |RawQuery(query): RawQuery| {
        let query = query.map(|query| format!("?{query}")).unwrap_or_default();
        (StatusCode::TEMPORARY_REDIRECT, HEADERS, [(LOCATION, format!("{redirected}{query}"))]).into_response()
    });
    // Whatever else answers what nothing is found under answers nothing here.
    routes
        .route(path.trim_end_matches('/'), redirect.fallback(refuse_method))
        .route(&format!("{path}{{*path}}"), axum::routing::any(not_found))
}

fn served(media_type: &'static str, content: Bytes) -> MethodRouter {
    let tag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(Sha256::digest(&content)));
    let answer = async move |headers: HeaderMap| {
        let (tag, content) = (tag.clone(), content.clone());
        let known = headers.typed_get::<IfNoneMatch>();
        if known.zip(tag.parse::<ETag>().ok()).is_some_and(|(known, tag)| !known.precondition_passes(&tag)) {
            return (StatusCode::NOT_MODIFIED, HEADERS, [(ETAG, tag)]).into_response();
        }
        (HEADERS, [(ETAG, tag), (CONTENT_TYPE, media_type.to_owned())], content).into_response()
    };
    get(answer).fallback(refuse_method)
}

async fn refuse_method() -> Response {
    let body = Json(json!({ "detail": "Method Not Allowed" }));
    (StatusCode::METHOD_NOT_ALLOWED, HEADERS, [(ALLOW, "GET, HEAD")], body).into_response()
}

async fn not_found() -> Response {
    (StatusCode::NOT_FOUND, HEADERS, Json(json!({ "detail": "Not Found" }))).into_response()
}

#[cfg(test)]
mod tests {
    use axum::{
        body::{Body, to_bytes},
        http::{Request, header::IF_NONE_MATCH},
    };
    use common::settings::PageSettings;
    use tower::ServiceExt;

    use super::*;

    async fn ask(method: &str, path: &str, known: Option<&str>) -> Response {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(known) = known {
            request = request.header(IF_NONE_MATCH, known);
        }
        routes(&Settings::default()).oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    }

    #[tokio::test]
    async fn every_file_is_served_and_known_by_its_tag() {
        for file in FILES {
            let path = format!("/proctor/{}", file.path);
            let answer = ask("GET", &path, None).await;
            assert_eq!(
                (answer.status(), &answer.headers()[CONTENT_TYPE]),
                (StatusCode::OK, &file.media_type.parse().unwrap())
            );
            let tag = answer.headers()[ETAG].to_str().unwrap().to_owned();
            assert_eq!(to_bytes(answer.into_body(), usize::MAX).await.unwrap(), file.content);
            for known in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned()] {
                assert_eq!(ask("GET", &path, Some(&known)).await.status(), StatusCode::NOT_MODIFIED, "{known}");
            }
            assert_eq!(ask("GET", &path, Some("\"other\"")).await.status(), StatusCode::OK);
            assert_eq!(ask("HEAD", &path, None).await.status(), StatusCode::OK);
        }
    }

    #[tokio::test]
    async fn every_answer_is_protected() {
        let asked = [("GET", "/proctor"), ("GET", "/proctor/"), ("POST", "/proctor/"), ("GET", "/proctor/nothing")];
        for (method, path) in asked {
            let answer = ask(method, path, None).await;
            for (name, value) in HEADERS {
                assert_eq!(answer.headers()[&name], value, "{method} {path}");
            }
        }
        assert!(VIEWS_POLICY.contains("default-src 'self'") && VIEWS_POLICY.contains("frame-ancestors 'none'"));
    }

    #[tokio::test]
    async fn a_path_without_its_slash_is_redirected_with_its_query() {
        let answer = ask("GET", "/proctor?a=b", None).await;
        assert_eq!(answer.status(), StatusCode::TEMPORARY_REDIRECT);
        assert_eq!(answer.headers()[LOCATION], "/proctor/?a=b");
    }

    #[tokio::test]
    async fn what_is_refused_is_refused_in_json() {
        for (method, path, status) in
            [("POST", "/proctor/", 405), ("DELETE", "/proctor", 405), ("GET", "/proctor/x/y", 404)]
        {
            let answer = ask(method, path, None).await;
            assert_eq!(answer.status().as_u16(), status, "{path}");
            assert_eq!(answer.headers()[CONTENT_TYPE], "application/json", "{path}");
        }
    }

    #[tokio::test]
    async fn every_file_that_is_named_in_a_file_is_served() {
        let paths: Vec<&str> = FILES.iter().map(|file| file.path).collect();
        for file in FILES {
            let text = std::str::from_utf8(file.content).unwrap();
            for (before, after) in [("src=\"", "\""), ("from \"./", "\""), ("rel=\"stylesheet\" href=\"", "\"")] {
                for named in text.split(before).skip(1).filter_map(|rest| rest.split(after).next()) {
                    assert!(paths.contains(&named), "{} names {named}", file.path);
                }
            }
        }
    }

    #[test]
    fn the_views_are_beside_the_api() {
        assert_eq!((path("/api"), path("/v2/api")), ("/proctor/".to_owned(), "/v2/proctor/".to_owned()));
    }

    #[test]
    fn the_page_is_told_where_all_else_is() {
        let told = |base_path: &str, base: &str| {
            let bases = [base.to_owned(), format!("{base}/v2")];
            let page = PageSettings { bases, ..PageSettings::default() };
            let settings = Settings { base_path: base_path.into(), page, ..Settings::default() };
            String::from_utf8(super::page(&settings).to_vec()).unwrap()
        };
        assert_eq!(told("/api", "/"), INDEX);
        let below = told("/prefect/rest", "/prefect");
        for expected in ["data-api=\"../rest/\"", "href=\"/prefect/\"", "href=\"/docs\""] {
            assert!(below.contains(expected), "{expected}");
        }
    }

    #[test]
    fn nothing_is_inline() {
        let page = std::str::from_utf8(FILES[0].content).unwrap();
        for inline in ["<style", "style=", "<script>", "onclick=", "http://", "https://"] {
            assert!(!page.contains(inline), "{inline}");
        }
    }
}
