//! `GET /flow_runs/{id}/graph`: reads what the task runs of a flow run depend on.

use axum::{Json, extract::State, routing::get};
use common::{
    Api, Result,
    dependencies::Dependency,
    http::{Path, Route, extract::Id},
    model::FlowRunId,
    store::{Needs, table::Index},
};

/// The contract's `read_flow_run_graph_v1`.
pub static ROUTE: Route = Route::get("read_flow_run_graph_v1", "/flow_runs/{id}/graph", || get(graph))
    .needing(Needs::READS.through(&[Index::ByParent]));

async fn graph(State(api): State<Api>, Path(path): Path<Id<FlowRunId>>) -> Result<Json<Vec<Dependency>>> {
    let task_runs = api.store.task_runs_for_dependencies(path.id).await?;
    let now = api.now();
    Ok(Json(task_runs.into_iter().map(|run| Dependency::of(run, now)).collect()))
}
