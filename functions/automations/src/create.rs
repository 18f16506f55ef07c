//! `POST /automations/`: makes an automation.

use axum::{extract::State, http::StatusCode, routing::post};
use common::{
    App, Result,
    actions::saving,
    automation_variables::{self, EmptyVariables},
    blocks::answers,
    http::{Body, Json, Route},
    model::{Automation, AutomationId, StoredAutomation},
    store::TableAccess,
};
use serde::Deserialize;

use crate::{Definition, TEMPLATES};

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
    let definition = &body.definition;
    automation_variables::check(&app, &definition.actions, EmptyVariables::AreNone).await?;
    saving::check(&app, &definition.all_actions()).await?;
    let now = app.now();
    let stored = StoredAutomation {
        automation: body.definition.into_automation(AutomationId::new(), now, now),
        owner_resource: body.owner_resource.filter(|owner| !owner.is_empty()),
    };
    app.store.add_automation(&stored).await?;
    Ok((StatusCode::CREATED, Json(stored.automation)))
}
