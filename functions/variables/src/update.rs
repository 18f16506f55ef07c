//! `PATCH /variables/{id}`: changes a variable.

use axum::{extract::State, http::StatusCode, routing::patch};
use common::{
    App, Result,
    http::{Path, Route, Sent, extract::Id},
    model::{Variable, VariableId},
    patch::{sent, set},
    store::{CommitError, Versioned, commit::retry_on_conflict},
};
use serde::Deserialize;
use serde_json::Value;

use crate::found;

/// The contract's `update_variable`.
pub static ROUTE: Route = Route::patch("update_variable", "/variables/{id}", || patch(update));

/// What the client sent; a null is a value, but no name and no tags.
#[derive(Debug, Deserialize)]
pub(crate) struct VariableUpdate {
    #[serde(default, deserialize_with = "sent")]
    name: Option<Option<String>>,
    #[serde(default, deserialize_with = "sent")]
    value: Option<Option<Value>>,
    #[serde(default, deserialize_with = "sent")]
    tags: Option<Option<Vec<String>>>,
}

async fn update(
    State(app): State<App>,
    Path(path): Path<Id<VariableId>>,
    Sent(body): Sent<VariableUpdate>,
) -> Result<StatusCode> {
    retry_on_conflict(|| async { body.apply(&app, found::by_id(&app, path.id).await?).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl VariableUpdate {
    /// Changes the variable that was found.
    pub(crate) async fn apply(&self, app: &App, found: Versioned<Variable>) -> Result<(), CommitError> {
        let mut variable = found.record.clone();
        set(&mut variable.name, self.name.as_ref())?;
        set(&mut variable.tags, self.tags.as_ref())?;
        if let Some(value) = &self.value {
            variable.value = value.clone().unwrap_or_default();
        }
        variable.updated = app.now();
        app.store.update_variable(&found, &variable).await
    }
}
