//! `POST /flow_runs/lateness`: averages how late the flow runs are that match.

use axum::{Json, extract::State, routing::post};
use common::{
    Api, Result,
    http::{Body, Route},
    store::{Needs, flow_run_query::RunFilters},
};

/// The contract's `average_flow_run_lateness`.
pub static ROUTE: Route =
    Route::post("average_flow_run_lateness", "/flow_runs/lateness", || post(average)).needing(Needs::FILTERS);

async fn average(State(api): State<Api>, Body(filters): Body<RunFilters>) -> Result<Json<Option<f64>>> {
    let average = api.store.flow_run_lateness(&filters, api.now()).await?;
    Ok(Json(average.seconds()))
}
