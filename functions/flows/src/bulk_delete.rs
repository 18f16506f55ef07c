//! `POST /flows/bulk_delete`: deletes the flows that match with their deployments and their runs.

use axum::{Json, extract::State, routing::post};
use common::{
    App, Result,
    filter::{FlowFilter, FlowSort, RunFilters},
    http::{Body, Route},
    jobs::removals,
    model::FlowId,
    store::{
        TableAccess,
        select::Window,
        table::{self, Index},
    },
};
use serde::{Deserialize, Serialize};

/// The contract's `bulk_delete_flows`.
pub static ROUTE: Route = Route::post("bulk_delete_flows", "/flows/bulk_delete", || post(bulk_delete))
    .accessing(TableAccess::WRITES_MANY.via(&Index::ALL));

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

async fn bulk_delete(State(app): State<App>, Body(which): Body<WhichFlows>) -> Result<Json<Deleted>> {
    let filters = RunFilters { flows: which.flows, ..RunFilters::default() };
    let window = Window { offset: 0, limit: which.limit };
    let mut deleted = Vec::new();
    for flow in app.store.flows(&filters, FlowSort::default(), window).await? {
        if app.store.delete_flow(flow.id).await? {
            deleted.push(flow.id);
        }
    }
    removals::within_request(&app, deleted.iter().copied().map(table::flow)).await;
    Ok(Json(Deleted { deleted }))
}
