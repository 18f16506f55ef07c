//! Pausing and resuming an automation.

use domain::{
    model::{Automation, StoredAutomation, Timestamp},
    run_loops::{self, RunLoop},
};
use error::{Error, Result};
use serde_json::json;

/// Returns what pauses or resumes an automation at `now`; Prefect checks it as if it were enabled where nothing is
/// said.
///
/// The change fails with [`Error::Invalid`] if the automation, enabled, would trigger itself.
pub fn switch(enabled: Option<bool>, now: Timestamp) -> impl Fn(&mut StoredAutomation) -> Result<()> + Sync {
    move |stored| {
        let automation = &mut stored.automation;
        if enabled.unwrap_or(true) {
            run_loops::check(&automation.trigger, &automation.actions).map_err(|why| refusal(automation, why))?;
        }
        if let Some(enabled) = enabled {
            automation.enabled = enabled;
        }
        automation.updated = now;
        Ok(())
    }
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
