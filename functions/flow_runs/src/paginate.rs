//! `POST /flow_runs/paginate`: reads a numbered page of the flow runs that match.

use axum::{Json, extract::State, routing::post};
use common::{
    Api, Result,
    filter::FlowRunSort,
    http::{
        Body, Route,
        page::{Page, PageNumber},
    },
    model::FlowRun,
    store::{Needs, flow_run_query::RunFilters},
};
use serde::Deserialize;

/// The contract's `paginate_flow_runs`.
pub static ROUTE: Route =
    Route::post("paginate_flow_runs", "/flow_runs/paginate", || post(paginate)).needing(Needs::FILTERS);

#[derive(Debug, Deserialize)]
struct FlowRunQuery {
    #[serde(flatten)]
    filters: RunFilters,
    sort: FlowRunSort,
    #[serde(flatten)]
    page: PageNumber,
}

async fn paginate(State(api): State<Api>, Body(query): Body<FlowRunQuery>) -> Result<Json<Page<FlowRun>>> {
    let (runs, count) = tokio::try_join!(
        api.store.flow_runs(&query.filters, query.sort, query.page.window()),
        api.store.count_flow_runs(&query.filters),
    )?;
    let now = api.now();
    let runs = runs.into_iter().map(|run| run.with_estimates(now)).collect();
    Ok(Json(query.page.of(runs, count)))
}
