//! `POST /flows/paginate`: reads a numbered page of the flows that match.

use axum::{extract::State, routing::post};
use common::{
    App, Result,
    filter::{FlowSort, RunFilters},
    http::{
        Body, Json, Route,
        page::{Page, PageNumber},
    },
    model::Flow,
    store::flow_query,
};
use serde::Deserialize;

/// The contract's `paginate_flows`.
pub static ROUTE: Route = Route::post("paginate_flows", "/flows/paginate", || post(paginate))
    .accessing(flow_query::FILTER.and(flow_query::COUNT));

#[derive(Debug, Deserialize)]
struct FlowQuery {
    #[serde(flatten)]
    filters: RunFilters,
    sort: FlowSort,
    #[serde(flatten)]
    page: PageNumber,
}

async fn paginate(State(app): State<App>, Body(query): Body<FlowQuery>) -> Result<Json<Page<Flow>>> {
    let (flows, count) = tokio::try_join!(
        app.store.flows(&query.filters, query.sort, query.page.window()),
        app.store.count_flows(&query.filters),
    )?;
    Ok(Json(query.page.of(flows, count)))
}
