//! `GET /flow_runs/{id}/graph-v2`: reads the graph of a flow run's task runs and subflow runs.

use axum::{Json, extract::State, routing::get};
use common::{
    Api, Result,
    flow_run_graph::Graph,
    http::{Path, Query, Route, extract::Id},
    model::{FlowRunId, Timestamp},
    store::{Needs, flow_run_graph::GraphLimits, table::Index},
};
use serde::Deserialize;

/// The contract's `read_flow_run_graph_v2`.
pub static ROUTE: Route = Route::get("read_flow_run_graph_v2", "/flow_runs/{id}/graph-v2", || get(graph))
    .needing(Needs::READS.through(&[Index::ByParent, Index::Related]));

#[derive(Debug, Deserialize)]
struct Since {
    since: Timestamp,
}

async fn graph(
    State(api): State<Api>,
    Path(path): Path<Id<FlowRunId>>,
    Query(query): Query<Since>,
) -> Result<Json<Graph>> {
    let limits =
        GraphLimits { nodes: api.settings.maximum_graph_nodes, artifacts: api.settings.maximum_graph_artifacts };
    Ok(Json(api.store.flow_run_graph(path.id, query.since, limits).await?))
}
