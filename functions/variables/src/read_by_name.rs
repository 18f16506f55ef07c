//! `GET /variables/name/{name}`: reads a variable by its name.

use axum::{extract::State, routing::get};
use common::{
    App, InWords, Result,
    http::{Json, Path, Route},
    model::Variable,
    store::variables::called,
};

use crate::{NOT_FOUND, Name};

/// The contract's `read_variable_by_name`.
pub static ROUTE: Route = Route::get("read_variable_by_name", "/variables/name/{name}", || get(read_by_name));

async fn read_by_name(State(app): State<App>, Path(path): Path<Name>) -> Result<Json<Variable>> {
    Ok(Json(app.store.read_one::<Variable>(called(&path.name)).await.in_words(NOT_FOUND)?.record))
}
