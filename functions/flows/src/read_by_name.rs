//! `GET /flows/name/{name}`: reads a flow by its name.

use axum::{extract::State, routing::get};
use common::{
    App, Result,
    http::{Json, Path, Route},
    model::Flow,
    store::flows::called,
};
use serde::Deserialize;

/// The contract's `read_flow_by_name`.
pub static ROUTE: Route = Route::get("read_flow_by_name", "/flows/name/{name}", || get(read_by_name));

#[derive(Debug, Deserialize)]
struct Name {
    name: String,
}

async fn read_by_name(State(app): State<App>, Path(path): Path<Name>) -> Result<Json<Flow>> {
    Ok(Json(app.store.read_one::<Flow>(called(&path.name)).await?.record))
}
