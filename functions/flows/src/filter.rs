//! `POST /flows/filter`: reads the flows that match.

use axum::{extract::State, routing::post};
use common::{
    App, Result,
    filter::{FlowSort, RunFilters},
    http::{Body, Json, Route},
    model::Flow,
    store::{flow_query, select::Window},
};
use serde::Deserialize;

/// The contract's `read_flows`.
pub static ROUTE: Route = Route::post("read_flows", "/flows/filter", || post(filter)).accessing(flow_query::FILTER);

#[derive(Debug, Deserialize)]
struct FlowQuery {
    #[serde(flatten)]
    filters: RunFilters,
    sort: FlowSort,
    #[serde(flatten)]
    window: Window,
}

async fn filter(State(app): State<App>, Body(query): Body<FlowQuery>) -> Result<Json<Vec<Flow>>> {
    Ok(Json(app.store.flows(&query.filters, query.sort, query.window).await?))
}
