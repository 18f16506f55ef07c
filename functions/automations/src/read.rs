//! `GET /automations/{id}`: reads an automation.

use axum::{extract::State, routing::get};
use common::{
    App, Result,
    http::{Json, Path, Route, extract::Id},
    model::{Automation, AutomationId, StoredAutomation},
};

use crate::or_missing;

/// The contract's `read_automation`.
pub static ROUTE: Route = Route::get("read_automation", "/automations/{id}", || get(read));

async fn read(State(app): State<App>, Path(path): Path<Id<AutomationId>>) -> Result<Json<Automation>> {
    Ok(Json(or_missing(app.store.read_one::<StoredAutomation>(path.id).await)?.record.automation))
}
