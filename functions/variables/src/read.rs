//! `GET /variables/{id}`: reads a variable.

use axum::{Json, extract::State, routing::get};
use common::{
    Api, Result,
    http::{Path, Route, extract::Id},
    model::{Variable, VariableId},
};

use crate::found;

/// The contract's `read_variable`.
pub static ROUTE: Route = Route::get("read_variable", "/variables/{id}", || get(read));

async fn read(State(api): State<Api>, Path(path): Path<Id<VariableId>>) -> Result<Json<Variable>> {
    Ok(Json(found::by_id(&api, path.id).await?.record))
}
