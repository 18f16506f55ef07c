//! `POST /ui/flow_runs/count-task-runs`: counts the task runs of flow runs.

use axum::{extract::State, routing::post};
use common::{
    App, Error, Result,
    http::{Body, Json, Route},
    model::FlowRunId,
    store::task_run_query,
};
use futures::{StreamExt, TryStreamExt, stream};
use indexmap::{IndexMap, IndexSet};
use serde::Deserialize;

use crate::AT_ONCE;

/// The contract's `count_task_runs_by_flow_run`.
pub static ROUTE: Route =
    Route::post("count_task_runs_by_flow_run", "/ui/flow_runs/count-task-runs", || post(count_task_runs))
        .accessing(task_run_query::COUNT_OWN);

#[derive(Debug, Deserialize)]
struct FlowRuns {
    flow_run_ids: IndexSet<FlowRunId>,
}

async fn count_task_runs(State(app): State<App>, Body(body): Body<FlowRuns>) -> Result<Json<IndexMap<FlowRunId, u64>>> {
    let store = &app.store;
    let counts = stream::iter(body.flow_run_ids)
        .map(|id| async move { Ok::<_, Error>((id, store.count_own_task_runs(id).await?)) })
        .buffered(AT_ONCE);
    Ok(Json(counts.try_collect().await?))
}
