//! `POST /flow_runs/{id}/input/filter`: reads the inputs of a flow run that match.

use axum::{extract::State, routing::post};
use common::{
    App, Result,
    filter::FlowRunInputFilter,
    http::{Body, Json, Path, Route, extract::Id},
    model::{FlowRunId, FlowRunInput},
    store::flow_run_inputs,
};
use serde::Deserialize;

/// The contract's `filter_flow_run_input`.
pub static ROUTE: Route = Route::post("filter_flow_run_input", "/flow_runs/{id}/input/filter", || post(filter))
    .accessing(flow_run_inputs::FILTER);

#[derive(Debug, Deserialize)]
struct InputQuery {
    #[serde(flatten)]
    filter: FlowRunInputFilter,
    /// How many inputs are wanted; a negative limit is none, as in Prefect's SQL.
    limit: i64,
}

async fn filter(
    State(app): State<App>,
    Path(path): Path<Id<FlowRunId>>,
    Body(query): Body<InputQuery>,
) -> Result<Json<Vec<FlowRunInput>>> {
    let mut inputs = app.store.flow_run_inputs(path.id, &query.filter).await?;
    inputs.truncate(usize::try_from(query.limit).unwrap_or(usize::MAX));
    Ok(Json(inputs))
}
