//! Answers to requests that no route takes, as Prefect's framework words them.

use std::sync::Arc;

use crate::Json;
use axum::{
    Extension,
    extract::Request,
    http::{
        HeaderMap, HeaderValue, Method, StatusCode, Uri,
        header::{ALLOW, HOST, LOCATION},
    },
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde_json::json;

use super::{documents, endpoint::Endpoint};
use error::Error;

/// What `Allow` says where a document is served.
const DOCUMENT_METHODS: &str = "GET, HEAD";

/// The endpoints that requests can be redirected to.
#[derive(Clone)]
pub(super) struct Unrouted {
    base_path: Arc<str>,
    endpoints: Arc<[Endpoint]>,
    documents: bool,
}

impl Unrouted {
    /// Takes the endpoints that are served under `base_path`, and whether the documents are.
    pub(super) fn new(base_path: &str, endpoints: &[Endpoint], documents: bool) -> Self {
        Self { base_path: base_path.into(), endpoints: endpoints.into(), documents }
    }

    /// Returns the endpoints that take `path`.
    fn taking(&self, path: &str) -> impl Iterator<Item = &Endpoint> {
        let in_api = path.strip_prefix(&*self.base_path).unwrap_or_default();
        self.endpoints.iter().filter(move |endpoint| takes(endpoint, in_api))
    }

    /// Returns the methods that `path` allows, as Prefect names them: those of the first endpoint that takes the path.
    fn allowed(&self, path: &str) -> Option<&'static str> {
        if self.documents && documents::PATHS.contains(&path.strip_prefix(&*self.base_path).unwrap_or(path)) {
            return Some(DOCUMENT_METHODS);
        }
        self.taking(path).min_by_key(|endpoint| endpoint.rank()).map(|endpoint| endpoint.method)
    }
}

fn takes(endpoint: &Endpoint, path: &str) -> bool {
    let Some(parameters) = parameters(endpoint.path, path) else { return false };
    endpoint.operation.is_none_or(|operation| operation.takes_path(&parameters))
}

/// Returns the parameters that `template` has at `path`, each a segment, if the path is one of the template's.
fn parameters<'p>(template: &'static str, path: &'p str) -> Option<Vec<(&'static str, &'p str)>> {
    let (mut wanted, mut given) = (template.split('/'), path.split('/'));
    let mut parameters = Vec::new();
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(parameters),
            (Some(wanted), Some(given)) if wanted == given => {}
            (Some(wanted), Some(given)) if wanted.starts_with('{') && !given.is_empty() => {
                parameters.push((wanted.trim_matches(['{', '}']), given));
            }
            _ => return None,
        }
    }
}

/// Redirects to the same path with or without its trailing slash where that one has an endpoint, else answers 404.
///
/// A path that has endpoints of its own gets here where these are carried out by others ([`super::route::fallback`]).
pub(super) async fn answer(Extension(unrouted): Extension<Unrouted>, request: Request) -> Response {
    let uri = request.uri();
    let path = uri.path();
    if unrouted.taking(path).any(|endpoint| endpoint.method == request.method().as_str()) {
        return Error::Unavailable(format!("{} {path} was led past its function", request.method())).into_response();
    }
    if unrouted.allowed(path).is_some() {
        return refuse_method(&unrouted, path);
    }
    let other = match path.strip_suffix('/') {
        Some(shorter) => shorter.to_owned(),
        None => format!("{path}/"),
    };
    if unrouted.allowed(&other).is_some() {
        return redirect(request.headers(), uri, &other);
    }
    not_found()
}

fn not_found() -> Response {
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
    refuse_method(&unrouted, request.uri().path())
}

fn refuse_method(unrouted: &Unrouted, path: &str) -> Response {
    let Some(allowed) = unrouted.allowed(path) else { return not_found() };
    let body = Json(json!({ "detail": "Method Not Allowed" }));
    (StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, allowed)], body).into_response()
}

/// Takes `Allow` off what is not found: axum adds it where another method has a route that takes another path.
pub(super) async fn without_needless_allow(mut response: Response) -> Response {
    if response.status() == StatusCode::NOT_FOUND {
        response.headers_mut().remove(ALLOW);
    }
    response
}

/// Refuses `HEAD`, which Prefect's operations don't take and axum would answer as a `GET`.
pub(super) async fn refuse_head(Extension(unrouted): Extension<Unrouted>, request: Request, next: Next) -> Response {
    if request.method() == Method::HEAD {
        return refuse_method(&unrouted, request.uri().path());
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::parameters;

    #[test]
    fn parameters_match_one_segment() {
        let found = parameters("/flow_runs/{id}/input/{key}", "/flow_runs/1/input/a");
        assert_eq!(found, Some(vec![("id", "1"), ("key", "a")]));
        assert_eq!(parameters("/flow_runs/{id}", "/flow_runs/"), None);
        assert_eq!(parameters("/flow_runs/{id}", "/flow_runs/1/input"), None);
    }
}
