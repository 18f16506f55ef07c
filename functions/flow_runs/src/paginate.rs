//! `POST /flow_runs/paginate`: reads a numbered page of the flow runs that match.

use axum::{extract::State, routing::post};
use common::{
    App, Result,
    filter::{FlowRunSort, RunFilters},
    http::{
        Body, Json, Route,
        page::{Page, PageNumber},
    },
    model::FlowRun,
    store::flow_run_query,
};
use serde::Deserialize;

/// The contract's `paginate_flow_runs`.
pub static ROUTE: Route = Route::post("paginate_flow_runs", "/flow_runs/paginate", || post(paginate))
    .accessing(flow_run_query::FILTER.and(flow_run_query::COUNT));

#[derive(Debug, Deserialize)]
struct FlowRunQuery {
    #[serde(flatten)]
    filters: RunFilters,
    sort: FlowRunSort,
    #[serde(flatten)]
    page: PageNumber,
}

async fn paginate(State(app): State<App>, Body(query): Body<FlowRunQuery>) -> Result<Json<Page<FlowRun>>> {
    let (runs, count) = tokio::try_join!(
        app.store.flow_runs(&query.filters, query.sort, query.page.window()),
        app.store.count_flow_runs(&query.filters),
    )?;
    let now = app.now();
    let runs = runs.into_iter().map(|run| run.with_estimates(now)).collect();
    Ok(Json(query.page.of(runs, count)))
}
