//! `GET /flows/name/{name}`: reads a flow by its name.

use axum::{Json, extract::State, routing::get};
use common::{
    App, Error, Result,
    http::{Path, Route},
    model::Flow,
};
use serde::Deserialize;

/// The contract's `read_flow_by_name`.
pub static ROUTE: Route = Route::get("read_flow_by_name", "/flows/name/{name}", || get(read_by_name));

#[derive(Debug, Deserialize)]
struct Name {
    name: String,
}

async fn read_by_name(State(app): State<App>, Path(path): Path<Name>) -> Result<Json<Flow>> {
    let flow = app.store.flow_by_name(&path.name).await?.ok_or_else(|| Error::not_found("Flow"))?;
    Ok(Json(flow.record))
}
