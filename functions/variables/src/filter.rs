//! `POST /variables/filter`: reads the variables that match.

use axum::{extract::State, routing::post};
use common::{
    App, Result,
    filter::{VariableFilter, VariableSort},
    http::{Body, Json, Route},
    model::Variable,
    store::{select::Window, variables},
};
use serde::Deserialize;

/// The contract's `read_variables`.
pub static ROUTE: Route =
    Route::post("read_variables", "/variables/filter", || post(filter)).accessing(variables::FILTER);

#[derive(Debug, Deserialize)]
struct VariableQuery {
    variables: Option<VariableFilter>,
    sort: VariableSort,
    #[serde(flatten)]
    window: Window,
}

async fn filter(State(app): State<App>, Body(query): Body<VariableQuery>) -> Result<Json<Vec<Variable>>> {
    Ok(Json(app.store.variables(query.variables.as_ref(), query.sort, query.window).await?))
}
