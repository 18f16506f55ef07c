//! The OpenAPI documents and the pages that show them, at the root and under the API's prefix.

use std::sync::{Arc, OnceLock};

use axum::{
    Router,
    http::header::CONTENT_TYPE,
    response::{Html, IntoResponse},
    routing::{MethodRouter, get},
};

use super::endpoint::Endpoint;
use contract::{self, Mount};

/// The paths of the documents, at the root and under the API's prefix.
pub(super) const PATHS: [&str; 3] = ["/openapi.json", "/docs", "/redoc"];

/// Makes the service of the documents of `endpoints` at `mount`; `docs_page` shows them in place of a page like Prefect's.
pub(super) fn service<S: Clone + Send + Sync + 'static>(
    mount: Mount<'_>,
    endpoints: &[Endpoint],
    docs_page: Option<&MethodRouter>,
) -> Router<S> {
    let declared: Arc<[_]> = endpoints.iter().map(|endpoint| (endpoint.method, endpoint.path)).collect();
    let document: Arc<OnceLock<String>> = Arc::default();
    let of_base_path = match mount {
        Mount::Root => None,
        Mount::App(base_path) => Some(base_path.to_owned()),
    };
    let prefects_page = contract::docs_page(mount);
    let docs_page =
        docs_page.map_or_else(|| get(async move || Html(prefects_page)), |page| page.clone().with_state(()));
    let redoc_page = contract::redoc_page(mount);
    let [openapi, docs, redoc] = PATHS.map(|path| format!("{}{path}", mount.prefix()));
    Router::new()
        .route(
            &openapi,
            get(async move || {
                let mount = of_base_path.as_deref().map_or(Mount::Root, Mount::App);
                let document = document.get_or_init(|| contract::document(mount, &declared).to_string()).clone();
                ([(CONTENT_TYPE, "application/json")], document).into_response()
            }),
        )
        .route(&docs, docs_page)
        .route(&redoc, get(async move || Html(redoc_page)))
}
