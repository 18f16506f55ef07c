//! `DELETE /automations/{id}`: deletes an automation.

use axum::{extract::State, http::StatusCode, routing::delete as on_delete};
use common::{
    App, Result,
    http::{Path, Route, extract::Id},
    model::AutomationId,
};

use crate::or_missing;

/// The contract's `delete_automation`.
pub static ROUTE: Route = Route::delete("delete_automation", "/automations/{id}", || on_delete(delete));

async fn delete(State(app): State<App>, Path(path): Path<Id<AutomationId>>) -> Result<StatusCode> {
    or_missing(app.store.delete_automation(path.id).await)?;
    Ok(StatusCode::NO_CONTENT)
}
