//! The OpenAPI documents and the pages that show them, at the root and under the API's prefix.

use std::sync::{Arc, OnceLock};

use axum::{
    Router,
    http::header::CONTENT_TYPE,
    response::{Html, IntoResponse},
    routing::get,
};

use super::{PREFIX, route::Route};
use crate::contract::{self, Mount};

/// The paths of the documents, at the root and under the API's prefix.
pub(super) const PATHS: [&str; 3] = ["/openapi.json", "/docs", "/redoc"];

/// Makes the service of the documents of `routes` at `mount`.
pub(super) fn service<S: Clone + Send + Sync + 'static>(mount: Mount, routes: &[Route]) -> Router<S> {
    let prefix = match mount {
        Mount::Root => "",
        Mount::Api => PREFIX,
    };
    let declared: Arc<[_]> = routes.iter().map(|route| (route.method.as_str(), route.path)).collect();
    let document: Arc<OnceLock<String>> = Arc::default();
    let [openapi, docs, redoc] = PATHS.map(|path| format!("{prefix}{path}"));
    Router::new()
        .route(
            &openapi,
            get(async move || {
                let document = document.get_or_init(|| contract::document(mount, &declared).to_string()).clone();
                ([(CONTENT_TYPE, "application/json")], document).into_response()
            }),
        )
        .route(&docs, get(async move || Html(contract::docs_page(mount))))
        .route(&redoc, get(async move || Html(contract::redoc_page(mount))))
}
