//! `POST /variables/count`: counts the variables that match.

use axum::{extract::State, routing::post};
use common::{
    App, Result,
    filter::VariableFilter,
    http::{Body, Json, Route},
    store::variables,
};
use serde::Deserialize;

/// The contract's `count_variables`.
pub static ROUTE: Route =
    Route::post("count_variables", "/variables/count", || post(count)).accessing(variables::COUNT);

#[derive(Debug, Deserialize)]
struct WhichVariables {
    variables: Option<VariableFilter>,
}

async fn count(State(app): State<App>, Body(which): Body<WhichVariables>) -> Result<Json<u64>> {
    Ok(Json(app.store.count_variables(which.variables.as_ref()).await?))
}
