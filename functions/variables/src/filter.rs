//! `POST /variables/filter`: reads the variables that match.

use axum::{Json, extract::State, routing::post};
use common::{
    Api, Result,
    filter::{VariableFilter, VariableSort},
    http::{Body, Route},
    model::Variable,
    store::{Needs, select::Window, table::Index},
};
use serde::Deserialize;

/// The contract's `read_variables`.
pub static ROUTE: Route = Route::post("read_variables", "/variables/filter", || post(filter))
    .needing(Needs::READS.through(&[Index::ByName, Index::Lookup]));

#[derive(Debug, Deserialize)]
struct VariableQuery {
    variables: Option<VariableFilter>,
    sort: VariableSort,
    #[serde(flatten)]
    window: Window,
}

async fn filter(State(api): State<Api>, Body(query): Body<VariableQuery>) -> Result<Json<Vec<Variable>>> {
    Ok(Json(api.store.variables(query.variables.as_ref(), query.sort, query.window).await?))
}
