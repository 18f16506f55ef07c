//! `GET /variables/{id}`: reads a variable.

use axum::{Json, extract::State, routing::get};
use common::{
    App, Result,
    http::{Path, Route, extract::Id},
    model::{Variable, VariableId},
};

use crate::found;

/// The contract's `read_variable`.
pub static ROUTE: Route = Route::get("read_variable", "/variables/{id}", || get(read));

async fn read(State(app): State<App>, Path(path): Path<Id<VariableId>>) -> Result<Json<Variable>> {
    Ok(Json(found::by_id(&app, path.id).await?.record))
}
