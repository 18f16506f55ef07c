//! `POST /variables/count`: counts the variables that match.

use axum::{Json, extract::State, routing::post};
use common::{
    Api, Result,
    filter::VariableFilter,
    http::{Body, Route},
    store::{Needs, table::Index},
};
use serde::Deserialize;

/// The contract's `count_variables`.
pub static ROUTE: Route =
    Route::post("count_variables", "/variables/count", || post(count)).needing(Needs::READS.through(&[Index::ByName]));

#[derive(Debug, Deserialize)]
struct WhichVariables {
    variables: Option<VariableFilter>,
}

async fn count(State(api): State<Api>, Body(which): Body<WhichVariables>) -> Result<Json<u64>> {
    Ok(Json(api.store.count_variables(which.variables.as_ref()).await?))
}
