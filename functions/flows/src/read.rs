//! `GET /flows/{id}`: reads a flow.

use axum::{extract::State, routing::get};
use common::{
    App, Result,
    http::{Json, Path, Route, extract::Id},
    model::{Flow, FlowId},
};

/// The contract's `read_flow`.
pub static ROUTE: Route = Route::get("read_flow", "/flows/{id}", || get(read));

async fn read(State(app): State<App>, Path(path): Path<Id<FlowId>>) -> Result<Json<Flow>> {
    Ok(Json(app.store.read_one::<Flow>(path.id).await?.record))
}
