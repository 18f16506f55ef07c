//! `PATCH /automations/{id}`: pauses and resumes an automation.

use axum::{extract::State, http::StatusCode, routing::patch as on_patch};
use common::{
    App, Error, Result,
    http::{Path, Route, Sent, extract::Id},
    model::{Automation, AutomationId, StoredAutomation},
    run_loops::{self, RunLoop},
};
use serde::Deserialize;
use serde_json::json;

use crate::{log_unevaluated, or_missing};

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
    let change = |stored: &mut StoredAutomation| {
        let automation = &mut stored.automation;
        if body.enabled.unwrap_or(true) {
            run_loops::check(&automation.trigger, &automation.actions).map_err(|why| refusal(automation, why))?;
        }
        if let Some(enabled) = body.enabled {
            automation.enabled = enabled;
        }
        automation.updated = app.now();
        Ok(())
    };
    let stored = or_missing(app.store.update_automation(path.id, change).await)?;
    log_unevaluated(&stored.automation);
    Ok(StatusCode::NO_CONTENT)
}

/// Returns what Prefect answers where the automation that a change makes is none: what pydantic says of it as a whole.
fn refusal(automation: &Automation, why: RunLoop) -> Error {
    let automation = Automation { enabled: true, ..automation.clone() };
    Error::Invalid(json!({
        "exception_message": "Invalid request received.",
        "exception_detail": [{
            "type": "value_error",
            "loc": [],
            "msg": format!("Value error, {why}"),
            "input": automation,
            "ctx": {"error": {}},
        }],
        "request_body": {"enabled": true},
    }))
}
