//! `POST /flows/bulk_delete`: deletes the flows that match and, in their wake, their runs.

use axum::{Json, extract::State, routing::post};
use common::{
    Api, Result,
    filter::{FlowFilter, FlowSort},
    http::{Body, Route},
    model::FlowId,
    store::{Needs, flow_run_query::RunFilters, select::Window, table::Index},
};
use serde::{Deserialize, Serialize};

/// The contract's `bulk_delete_flows`.
pub static ROUTE: Route = Route::post("bulk_delete_flows", "/flows/bulk_delete", || post(bulk_delete))
    .needing(Needs::WRITES.through(&Index::ALL));

#[derive(Debug, Deserialize)]
struct WhichFlows {
    flows: Option<FlowFilter>,
    /// How many flows are deleted at most, 1 to 50.
    limit: usize,
}

#[derive(Debug, Serialize)]
struct Deleted {
    deleted: Vec<FlowId>,
}

async fn bulk_delete(State(api): State<Api>, Body(which): Body<WhichFlows>) -> Result<Json<Deleted>> {
    let filters = RunFilters { flows: which.flows, ..RunFilters::default() };
    let window = Window { offset: 0, limit: which.limit };
    let mut deleted = Vec::new();
    for flow in api.store.flows(&filters, FlowSort::default(), window).await? {
        if api.store.delete_flow(flow.id).await? {
            deleted.push(flow.id);
        }
    }
    Ok(Json(Deleted { deleted }))
}
