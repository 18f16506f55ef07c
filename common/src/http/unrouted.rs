//! Answers to requests that no route takes, as upstream's framework words them.

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::Request,
    http::{
        HeaderMap, HeaderValue, StatusCode, Uri,
        header::{ALLOW, HOST, LOCATION},
    },
    response::{IntoResponse, Response},
};
use serde_json::json;

use super::{PREFIX, route::Route};

/// The routes that requests can be redirected to.
#[derive(Clone)]
pub(super) struct Unrouted(Arc<Vec<Route>>);

impl Unrouted {
    pub(super) fn new(routes: Vec<Route>) -> Self {
        Self(Arc::new(routes))
    }

    fn has(&self, path: &str) -> bool {
        let Some(path) = path.strip_prefix(PREFIX) else { return false };
        self.0.iter().any(|route| matches(route.path, path))
    }

    fn methods(&self, path: &str) -> Vec<&'static str> {
        let path = path.strip_prefix(PREFIX).unwrap_or(path);
        self.0.iter().filter(|route| matches(route.path, path)).map(|route| route.method.as_str()).collect()
    }
}

fn matches(template: &str, path: &str) -> bool {
    let (mut wanted, mut given) = (template.split('/'), path.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return true,
            (Some(wanted), Some(given)) if wanted == given => {}
            (Some(wanted), Some(given)) if wanted.starts_with('{') && !given.is_empty() => {}
            _ => return false,
        }
    }
}

/// Redirects to the same path with or without its trailing slash where that one has a route, else answers 404.
pub(super) async fn answer(Extension(unrouted): Extension<Unrouted>, request: Request) -> Response {
    let uri = request.uri();
    let path = uri.path();
    let other = match path.strip_suffix('/') {
        Some(shorter) => shorter.to_owned(),
        None => format!("{path}/"),
    };
    if unrouted.has(&other) {
        return redirect(request.headers(), uri, &other);
    }
    (StatusCode::NOT_FOUND, Json(json!({ "detail": "Not Found" }))).into_response()
}

fn redirect(headers: &HeaderMap, uri: &Uri, path: &str) -> Response {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let scheme = headers.get("x-forwarded-proto").and_then(|scheme| scheme.to_str().ok()).unwrap_or("http");
    let origin = host.map(|host| format!("{scheme}://{host}")).unwrap_or_default();
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    match HeaderValue::from_str(&format!("{origin}{path}{query}")) {
        Ok(location) => (StatusCode::TEMPORARY_REDIRECT, [(LOCATION, location)]).into_response(),
        Err(_) => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Answers a request whose path has routes, and none for its method.
pub(super) async fn method_not_allowed(Extension(unrouted): Extension<Unrouted>, request: Request) -> Response {
    let allowed = unrouted.methods(request.uri().path()).into_iter().next().unwrap_or_default();
    let body = Json(json!({ "detail": "Method Not Allowed" }));
    (StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, allowed)], body).into_response()
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn parameters_match_one_segment() {
        assert!(matches("/flow_runs/{id}/input/{key}", "/flow_runs/1/input/a"));
        assert!(!matches("/flow_runs/{id}", "/flow_runs/"));
        assert!(!matches("/flow_runs/{id}", "/flow_runs/1/input"));
    }
}
