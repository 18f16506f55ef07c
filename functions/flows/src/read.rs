//! `GET /flows/{id}`: reads a flow.

use axum::{Json, extract::State, routing::get};
use common::{
    App, Error, Result,
    http::{Path, Route, extract::Id},
    model::{Flow, FlowId},
};

/// The contract's `read_flow`.
pub static ROUTE: Route = Route::get("read_flow", "/flows/{id}", || get(read));

async fn read(State(app): State<App>, Path(path): Path<Id<FlowId>>) -> Result<Json<Flow>> {
    let flow = app.store.flow(path.id).await?.ok_or_else(|| Error::not_found("Flow"))?;
    Ok(Json(flow.record))
}
