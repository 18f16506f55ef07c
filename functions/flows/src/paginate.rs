//! `POST /flows/paginate`: reads a numbered page of the flows that match.

use axum::{Json, extract::State, routing::post};
use common::{
    Api, Result,
    filter::FlowSort,
    http::{
        Body, Route,
        page::{Page, PageNumber},
    },
    model::Flow,
    store::{Needs, flow_run_query::RunFilters},
};
use serde::Deserialize;

/// The contract's `paginate_flows`.
pub static ROUTE: Route = Route::post("paginate_flows", "/flows/paginate", || post(paginate)).needing(Needs::FILTERS);

#[derive(Debug, Deserialize)]
struct FlowQuery {
    #[serde(flatten)]
    filters: RunFilters,
    sort: FlowSort,
    #[serde(flatten)]
    page: PageNumber,
}

async fn paginate(State(api): State<Api>, Body(query): Body<FlowQuery>) -> Result<Json<Page<Flow>>> {
    let (flows, count) = tokio::try_join!(
        api.store.flows(&query.filters, query.sort, query.page.window()),
        api.store.count_flows(&query.filters),
    )?;
    Ok(Json(query.page.of(flows, count)))
}
