//! `GET /flow_runs/{id}/graph-v2`: reads the graph of a flow run's task runs and subflow runs.

use axum::{extract::State, routing::get};
use common::{
    App, Result,
    graph::Graph,
    http::{Json, Path, Query, Route, extract::Id},
    model::{FlowRunId, Timestamp},
    store::flow_run_graph::{self, GraphLimits},
};
use serde::Deserialize;

/// The contract's `read_flow_run_graph_v2`.
pub static ROUTE: Route =
    Route::get("read_flow_run_graph_v2", "/flow_runs/{id}/graph-v2", || get(graph)).accessing(flow_run_graph::GRAPH);

#[derive(Debug, Deserialize)]
struct Since {
    since: Timestamp,
}

async fn graph(
    State(app): State<App>,
    Path(path): Path<Id<FlowRunId>>,
    Query(query): Query<Since>,
) -> Result<Json<Graph>> {
    let limits =
        GraphLimits { nodes: app.settings.maximum_graph_nodes, artifacts: app.settings.maximum_graph_artifacts };
    Ok(Json(app.store.flow_run_graph(path.id, query.since, limits).await?))
}
