//! `POST /flow_runs/bulk_delete`: deletes the flow runs that match with their task runs and, in their wake, what else
//! belongs to them.
//!
//! The contract's answer names up to 50 that are deleted. A client that prefers not to wait (`Prefer: respond-async`) and
//! names no limit has all of them deleted, and is told where to ask how far that has got.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
    routing::post,
};
use common::{
    App, Result,
    filter::{FlowRunFilter, FlowRunSort, RunFilters},
    http::{Body, Json, Route, Sent, bulk::accepted, extract::PrefersAsync},
    jobs::{bulk, removals},
    model::{BulkAction, FlowRunId},
    store::{flow_run_query, select::Window, table},
};
use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The contract's `bulk_delete_flow_runs`.
pub static ROUTE: Route = Route::post("bulk_delete_flow_runs", "/flow_runs/bulk_delete", || post(bulk_delete))
    .accessing(flow_run_query::FILTER.and(bulk::BEGIN).and(removals::OF_FLOW_RUNS));

#[derive(Debug, Deserialize)]
struct WhichRuns {
    flow_runs: Option<FlowRunFilter>,
    /// How many flow runs are deleted at most, 1 to 50.
    limit: usize,
}

#[derive(Debug, Serialize)]
struct Deleted {
    deleted: Vec<FlowRunId>,
}

async fn bulk_delete(
    State(app): State<App>,
    PrefersAsync(is_async): PrefersAsync,
    Sent(sent): Sent<Value>,
    Body(which): Body<WhichRuns>,
) -> Result<Response> {
    let filters = RunFilters { flow_runs: which.flow_runs, ..RunFilters::default() };
    if is_async && sent.get("limit").is_none() {
        let begun = bulk::begin(&app, filters, BulkAction::DeleteFlowRuns).await?;
        return Ok(accepted(&app, begun));
    }
    let window = Window { offset: 0, limit: which.limit };
    let runs = app.store.flow_runs(&filters, FlowRunSort::IdDesc, window).await?;
    let deletions = stream::iter(runs)
        .map(|run| {
            let deletion = app.store.delete_flow_run(run.id, app.now(), app.settings.longest_waits);
            async move { Ok::<_, common::Error>(deletion.await?.then_some(run.id)) }
        })
        .buffered(bulk::AT_ONCE);
    let deleted: Vec<Option<FlowRunId>> = deletions.try_collect().await?;
    let deleted: Vec<FlowRunId> = deleted.into_iter().flatten().collect();
    removals::within_request(&app, deleted.iter().copied().map(table::flow_run)).await;
    Ok(Json(Deleted { deleted }).into_response())
}
