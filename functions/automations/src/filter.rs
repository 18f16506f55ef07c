//! `POST /automations/filter`: reads the automations that match.

use axum::{extract::State, routing::post};
use common::{
    App, Result,
    filter::{AutomationFilter, AutomationSort},
    http::{Body, Json, Route},
    model::Automation,
    store::{automations, select::Window},
};
use serde::Deserialize;

/// The contract's `read_automations`.
pub static ROUTE: Route =
    Route::post("read_automations", "/automations/filter", || post(filter)).accessing(automations::FILTER);

#[derive(Debug, Deserialize)]
struct AutomationQuery {
    automations: Option<AutomationFilter>,
    sort: AutomationSort,
    #[serde(flatten)]
    window: Window,
}

async fn filter(State(app): State<App>, Body(query): Body<AutomationQuery>) -> Result<Json<Vec<Automation>>> {
    let found = app.store.automations(query.automations.as_ref(), query.sort, query.window).await?;
    Ok(Json(found.into_iter().map(|stored| stored.automation).collect()))
}
