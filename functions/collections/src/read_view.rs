//! `GET /collections/views/{view}`: what Prefect's registry of collections knows, such as the job templates of workers.
//!
//! Prefect asks a registry on the internet, of which its package has a copy for when that fails. This server has the copy
//! alone: a request asks nobody else, and the same release always answers the same. Views of which the package has no copy
//! are answered as Prefect answers what its registry lacks.

use axum::{
    http::header::CONTENT_TYPE,
    response::{IntoResponse, Response},
    routing::get,
};
use common::{
    Error, Result,
    http::{Path, Route, extract::ShippedData},
    store::TableAccess,
};
use serde::Deserialize;

/// The contract's `read_view_content`.
pub static ROUTE: Route = Route::get("read_view_content", "/collections/views/{view}", || get(read_view))
    .accessing(TableAccess::NOTHING)
    .reading_assets();

/// The views that Prefect's registry has.
const VIEWS: [&str; 4] =
    ["aggregate-block-metadata", "aggregate-flow-metadata", "aggregate-worker-metadata", "demo-flows"];

#[derive(Debug, Deserialize)]
struct Asked {
    view: String,
}

async fn read_view(Path(Asked { view }): Path<Asked>, ShippedData(assets): ShippedData) -> Result<Response> {
    if !VIEWS.contains(&view.as_str()) {
        return Err(Error::not_found_in_words(format!("View {view} not found in registry")));
    }
    let missing = format!("Requested content missing for view {view}");
    match assets.view(&view).await {
        Ok(Some(content)) => Ok(([(CONTENT_TYPE, "application/json")], content).into_response()),
        Ok(None) => Err(Error::not_found_in_words(missing)),
        Err(Error::NotFound(reason)) => Err(Error::not_found_in_words(format!("{missing}: {reason}"))),
        Err(other) => Err(other),
    }
}
