//! `GET /artifacts/{key}/latest`: reads the latest artifact of a key.

use axum::{extract::State, routing::get};
use common::{
    App, Error, Result,
    http::{Json, Path, Route},
    model::Artifact,
};
use serde::Deserialize;

use crate::NOT_FOUND;

/// The contract's `read_latest_artifact`.
pub static ROUTE: Route = Route::get("read_latest_artifact", "/artifacts/{key}/latest", || get(read_latest));

#[derive(Debug, Deserialize)]
struct OfKey {
    key: String,
}

async fn read_latest(State(app): State<App>, Path(path): Path<OfKey>) -> Result<Json<Artifact>> {
    let found = app.store.latest_artifact(&path.key).await?.ok_or_else(|| Error::not_found_in_words(NOT_FOUND))?;
    Ok(Json(found.into_artifact()))
}
