//! `POST /automations/`: makes an automation.

use axum::{extract::State, http::StatusCode, routing::post};
use common::{
    App, Result,
    automation_variables::{self, EmptyVariables},
    blocks::answers,
    http::{Body, Json, Route},
    model::{Automation, AutomationId, StoredAutomation},
    store::TableAccess,
};
use serde::Deserialize;

use crate::{Definition, TEMPLATES, log_unevaluated};

/// The contract's `create_automation`.
pub static ROUTE: Route = Route::post("create_automation", "/automations/", || post(create))
    .accessing(TableAccess::WRITES.and(answers::DEFAULTS))
    .checking_templates(TEMPLATES);

#[derive(Debug, Deserialize)]
struct AutomationCreate {
    #[serde(flatten)]
    definition: Definition,
    owner_resource: Option<String>,
}

async fn create(State(app): State<App>, Body(body): Body<AutomationCreate>) -> Result<(StatusCode, Json<Automation>)> {
    automation_variables::check(&app, &body.definition.actions, EmptyVariables::AreNone).await?;
    let now = app.now();
    let stored = StoredAutomation {
        automation: body.definition.into_automation(AutomationId::new(), now, now),
        owner_resource: body.owner_resource.filter(|owner| !owner.is_empty()),
    };
    app.store.add_automation(&stored).await?;
    log_unevaluated(&stored.automation);
    Ok((StatusCode::CREATED, Json(stored.automation)))
}
