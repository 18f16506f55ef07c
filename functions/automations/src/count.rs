//! `POST /automations/count`: counts the automations that match.

use axum::{extract::State, routing::post};
use common::{
    App, Result,
    filter::AutomationFilter,
    http::{Body, Json, Route},
    store::automations,
};
use serde::Deserialize;

/// The contract's `count_automations`.
pub static ROUTE: Route =
    Route::post("count_automations", "/automations/count", || post(count)).accessing(automations::COUNT);

#[derive(Debug, Deserialize)]
struct WhichAutomations {
    automations: Option<AutomationFilter>,
}

async fn count(State(app): State<App>, Body(which): Body<WhichAutomations>) -> Result<Json<u64>> {
    Ok(Json(app.store.count_automations(which.automations.as_ref()).await?))
}
