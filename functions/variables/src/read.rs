//! `GET /variables/{id}`: reads a variable.

use axum::{extract::State, routing::get};
use common::{
    App, InWords, Result,
    http::{Json, Path, Route, extract::Id},
    model::{Variable, VariableId},
};

use crate::NOT_FOUND;

/// The contract's `read_variable`.
pub static ROUTE: Route = Route::get("read_variable", "/variables/{id}", || get(read));

async fn read(State(app): State<App>, Path(path): Path<Id<VariableId>>) -> Result<Json<Variable>> {
    Ok(Json(app.store.read_one::<Variable>(path.id).await.in_words(NOT_FOUND)?.record))
}
