//! `PATCH /variables/name/{name}`: changes the variable of a name.

use axum::{extract::State, http::StatusCode, routing::patch};
use common::{
    App, Result,
    http::{Path, Route, Sent},
    store::commit::retry_on_conflict,
};

use crate::{
    found::{self, Name},
    update::VariableUpdate,
};

/// The contract's `update_variable_by_name`.
pub static ROUTE: Route = Route::patch("update_variable_by_name", "/variables/name/{name}", || patch(update_by_name));

async fn update_by_name(
    State(app): State<App>,
    Path(path): Path<Name>,
    Sent(body): Sent<VariableUpdate>,
) -> Result<StatusCode> {
    retry_on_conflict(|| async { body.apply(&app, found::by_name(&app, &path.name).await?).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}
