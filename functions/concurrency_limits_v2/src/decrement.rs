//! `POST /v2/concurrency_limits/decrement`: gives slots of limits back.

use axum::{extract::State, routing::post};
use common::{
    App, Result,
    http::{Body, Json, Route},
};
use serde::Deserialize;

use crate::taking::TakenLimit;

/// The contract's `bulk_decrement_active_slots`.
pub static ROUTE: Route =
    Route::post("bulk_decrement_active_slots", "/v2/concurrency_limits/decrement", || post(decrement));

#[derive(Debug, Deserialize)]
struct HeldSlots {
    slots: i64,
    names: Vec<String>,
    occupancy_seconds: Option<f64>,
}

async fn decrement(State(app): State<App>, Body(held): Body<HeldSlots>) -> Result<Json<Vec<TakenLimit>>> {
    let longest = app.settings.longest_waits;
    let limits = app.store.give_slots_back(&held.names, held.slots, held.occupancy_seconds, app.now(), longest).await?;
    Ok(Json(limits.into_iter().map(Into::into).collect()))
}
