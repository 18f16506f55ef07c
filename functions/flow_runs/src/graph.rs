//! `GET /flow_runs/{id}/graph`: reads what the task runs of a flow run depend on.

use axum::{extract::State, routing::get};
use common::{
    App, Result,
    dependencies::Dependency,
    http::{Json, Path, Route, extract::Id},
    model::FlowRunId,
    store::flow_run_graph,
};

/// The contract's `read_flow_run_graph_v1`.
pub static ROUTE: Route = Route::get("read_flow_run_graph_v1", "/flow_runs/{id}/graph", || get(graph))
    .accessing(flow_run_graph::DEPENDENCIES);

async fn graph(State(app): State<App>, Path(path): Path<Id<FlowRunId>>) -> Result<Json<Vec<Dependency>>> {
    let task_runs = app.store.task_runs_for_dependencies(path.id).await?;
    let now = app.now();
    Ok(Json(task_runs.into_iter().map(|run| Dependency::of(run, now)).collect()))
}
