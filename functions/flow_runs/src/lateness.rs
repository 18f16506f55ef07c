//! `POST /flow_runs/lateness`: averages how late the flow runs are that match.

use axum::{extract::State, routing::post};
use common::{
    App, Result,
    filter::RunFilters,
    http::{Body, Json, Route},
    store::flow_run_query,
};

/// The contract's `average_flow_run_lateness`.
pub static ROUTE: Route = Route::post("average_flow_run_lateness", "/flow_runs/lateness", || post(average))
    .accessing(flow_run_query::LATENESS);

async fn average(State(app): State<App>, Body(filters): Body<RunFilters>) -> Result<Json<Option<f64>>> {
    let average = app.store.flow_run_lateness(&filters, app.now()).await?;
    Ok(Json(average.seconds()))
}
