//! `POST /flows/bulk_delete`: deletes the flows that match with their deployments and their runs.

use axum::{extract::State, routing::post};
use common::{
    App, Error, Result,
    filter::{FlowFilter, FlowSort, RunFilters},
    http::{Body, Json, Route},
    jobs::removals,
    model::{Flow, FlowId},
    store::{flow_query, select::Window, table},
};
use serde::{Deserialize, Serialize};

/// The contract's `bulk_delete_flows`.
pub static ROUTE: Route = Route::post("bulk_delete_flows", "/flows/bulk_delete", || post(bulk_delete))
    .accessing(flow_query::FILTER.and(removals::OF_FLOWS));

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
        match app.store.delete::<Flow>(flow.id).await {
            Ok(()) => deleted.push(flow.id),
            Err(Error::NotFound(_)) => {}
            Err(error) => return Err(error),
        }
    }
    removals::within_request(&app, deleted.iter().copied().map(table::flow)).await;
    Ok(Json(Deleted { deleted }))
}
