//! `PATCH /variables/name/{name}`: changes the variable of a name.

use axum::{extract::State, http::StatusCode, routing::patch};
use common::{
    App, InWords, Result,
    http::{Path, Route, Sent},
    store::variables::called,
};

use crate::{NOT_FOUND, Name, update::VariableUpdate};

/// The contract's `update_variable_by_name`.
pub static ROUTE: Route = Route::patch("update_variable_by_name", "/variables/name/{name}", || patch(update_by_name));

async fn update_by_name(
    State(app): State<App>,
    Path(path): Path<Name>,
    Sent(body): Sent<VariableUpdate>,
) -> Result<StatusCode> {
    app.store.update(called(&path.name), |variable| body.apply(variable, app.now())).await.in_words(NOT_FOUND)?;
    Ok(StatusCode::NO_CONTENT)
}
