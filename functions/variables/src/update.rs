//! `PATCH /variables/{id}`: changes a variable.

use axum::{extract::State, http::StatusCode, routing::patch};
use common::{
    App, InWords, Result,
    http::{Path, Route, Sent, extract::Id},
    model::{Timestamp, Variable, VariableId},
    patch::Patch,
};
use serde::Deserialize;
use serde_json::Value;

use crate::NOT_FOUND;

/// The contract's `update_variable`.
pub static ROUTE: Route = Route::patch("update_variable", "/variables/{id}", || patch(update));

/// What the client sent (contract schema `VariableUpdate`).
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct VariableUpdate {
    name: Patch<String>,
    value: Patch<Value>,
    tags: Patch<Vec<String>>,
}

async fn update(
    State(app): State<App>,
    Path(path): Path<Id<VariableId>>,
    Sent(body): Sent<VariableUpdate>,
) -> Result<StatusCode> {
    app.store.update(path.id, |variable| body.apply(variable, app.now())).await.in_words(NOT_FOUND)?;
    Ok(StatusCode::NO_CONTENT)
}

impl VariableUpdate {
    /// Changes `variable` at `now`.
    pub(crate) fn apply(&self, variable: &mut Variable, now: Timestamp) -> Result<()> {
        self.name.set(&mut variable.name)?;
        self.tags.set(&mut variable.tags)?;
        self.value.set_or_default(&mut variable.value);
        variable.updated = now;
        Ok(())
    }
}
