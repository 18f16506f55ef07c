//! `GET /flow_runs/{id}`: reads a flow run.

use axum::{extract::State, routing::get};
use common::{
    App, Error, Result,
    http::{Json, Path, Route, extract::Id},
    model::{FlowRun, FlowRunId},
};

/// The contract's `read_flow_run`.
pub static ROUTE: Route = Route::get("read_flow_run", "/flow_runs/{id}", || get(read));

async fn read(State(app): State<App>, Path(path): Path<Id<FlowRunId>>) -> Result<Json<FlowRun>> {
    let run = app.store.flow_run(path.id).await?.ok_or_else(|| Error::missing("flow-run"))?;
    Ok(Json(run.record.with_estimates(app.now())))
}
