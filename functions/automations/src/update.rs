//! `PUT /automations/{id}`: writes an automation anew; who owns it stays, and whatever may be left out and is.

use axum::{extract::State, http::StatusCode, routing::put};
use common::{
    App, Result,
    actions::saving,
    automation_variables::{self, EmptyVariables},
    blocks::answers,
    http::{Body, Path, Route, Sent, extract::Id},
    model::{AutomationId, StoredAutomation},
    store::TableAccess,
};
use serde::{Deserialize, de::IgnoredAny};

use crate::{Definition, TEMPLATES, or_missing};

/// The contract's `update_automation`.
pub static ROUTE: Route = Route::put("update_automation", "/automations/{id}", || put(update))
    .accessing(TableAccess::WRITES.and(answers::DEFAULTS))
    .checking_templates(TEMPLATES);

/// Which of the fields that may be left out were sent.
#[derive(Debug, Deserialize)]
struct Given {
    description: Option<IgnoredAny>,
    enabled: Option<IgnoredAny>,
    tags: Option<IgnoredAny>,
    actions_on_trigger: Option<IgnoredAny>,
    actions_on_resolve: Option<IgnoredAny>,
}

async fn update(
    State(app): State<App>,
    Path(path): Path<Id<AutomationId>>,
    Body(body): Body<Definition>,
    Sent(given): Sent<Given>,
) -> Result<StatusCode> {
    automation_variables::check(&app, &body.actions, EmptyVariables::Count).await?;
    saving::check(&app, &body.all_actions()).await?;
    let replace = |stored: &mut StoredAutomation| {
        let before = stored.automation.clone();
        let mut after = body.clone().into_automation(before.id, before.created, app.now());
        if given.description.is_none() {
            after.description = before.description;
        }
        if given.enabled.is_none() {
            after.enabled = before.enabled;
        }
        if given.tags.is_none() {
            after.tags = before.tags;
        }
        if given.actions_on_trigger.is_none() {
            after.actions_on_trigger = before.actions_on_trigger;
        }
        if given.actions_on_resolve.is_none() {
            after.actions_on_resolve = before.actions_on_resolve;
        }
        stored.automation = after;
        Ok(())
    };
    or_missing(app.store.update_automation(path.id, replace, &[]).await)?;
    Ok(StatusCode::NO_CONTENT)
}
