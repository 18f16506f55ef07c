//! `POST /flows/filter`: reads the flows that match.

use axum::{Json, extract::State, routing::post};
use common::{
    Api, Result,
    filter::FlowSort,
    http::{Body, Route},
    model::Flow,
    store::{Needs, flow_run_query::RunFilters, select::Window},
};
use serde::Deserialize;

/// The contract's `read_flows`.
pub static ROUTE: Route = Route::post("read_flows", "/flows/filter", || post(filter)).needing(Needs::FILTERS);

#[derive(Debug, Deserialize)]
struct FlowQuery {
    #[serde(flatten)]
    filters: RunFilters,
    sort: FlowSort,
    #[serde(flatten)]
    window: Window,
}

async fn filter(State(api): State<Api>, Body(query): Body<FlowQuery>) -> Result<Json<Vec<Flow>>> {
    Ok(Json(api.store.flows(&query.filters, query.sort, query.window).await?))
}
