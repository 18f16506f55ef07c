//! `PATCH /automations/{id}`: pauses and resumes an automation.

use axum::{extract::State, http::StatusCode, routing::patch as on_patch};
use common::{
    App, Result, automation_switch,
    http::{Path, Route, Sent, extract::Id},
    model::AutomationId,
};
use serde::Deserialize;

use crate::or_missing;

/// The contract's `patch_automation`.
pub static ROUTE: Route = Route::patch("patch_automation", "/automations/{id}", || on_patch(patch));

/// What the client sent. Prefect checks the automation as if it were enabled where nothing is said.
#[derive(Debug, Deserialize)]
struct AutomationPartialUpdate {
    enabled: Option<bool>,
}

async fn patch(
    State(app): State<App>,
    Path(path): Path<Id<AutomationId>>,
    Sent(body): Sent<AutomationPartialUpdate>,
) -> Result<StatusCode> {
    let change = automation_switch::switch(body.enabled, app.now());
    or_missing(app.store.update_automation(path.id, change, &[]).await)?;
    Ok(StatusCode::NO_CONTENT)
}
