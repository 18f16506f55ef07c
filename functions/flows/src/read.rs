//! `GET /flows/{id}`: reads a flow.

use axum::{Json, extract::State, routing::get};
use common::{
    Api, Error, Result,
    http::{Path, Route, extract::Id},
    model::{Flow, FlowId},
};

/// The contract's `read_flow`.
pub static ROUTE: Route = Route::get("read_flow", "/flows/{id}", || get(read));

async fn read(State(api): State<Api>, Path(path): Path<Id<FlowId>>) -> Result<Json<Flow>> {
    let flow = api.store.flow(path.id).await?.ok_or_else(|| Error::not_found("Flow"))?;
    Ok(Json(flow.record))
}
