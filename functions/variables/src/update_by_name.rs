//! `PATCH /variables/name/{name}`: changes the variable of a name.

use axum::{extract::State, http::StatusCode, routing::patch};
use common::{
    Api, Result,
    http::{Path, Route, Sent},
    store::commit::until_uncontended,
};

use crate::{
    found::{self, Name},
    update::VariableUpdate,
};

/// The contract's `update_variable_by_name`.
pub static ROUTE: Route = Route::patch("update_variable_by_name", "/variables/name/{name}", || patch(update_by_name));

async fn update_by_name(
    State(api): State<Api>,
    Path(path): Path<Name>,
    Sent(body): Sent<VariableUpdate>,
) -> Result<StatusCode> {
    until_uncontended(|| async { body.apply(&api, found::by_name(&api, &path.name).await?).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}
