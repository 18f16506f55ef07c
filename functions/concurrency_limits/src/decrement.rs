//! `POST /concurrency_limits/decrement`: gives the slots of tags back that a task run holds.

use axum::{extract::State, routing::post};
use common::{
    App, Result,
    http::{Body, Json, Route},
};

use crate::slots::{ChangedLimit, TaskRunSlots};

/// The contract's `decrement_concurrency_limits_v1`.
pub static ROUTE: Route =
    Route::post("decrement_concurrency_limits_v1", "/concurrency_limits/decrement", || post(decrement));

async fn decrement(State(app): State<App>, Body(held): Body<TaskRunSlots>) -> Result<Json<Vec<ChangedLimit>>> {
    let longest = app.settings.longest_waits;
    let limits = app.store.give_tag_slots_back(&held.names, held.task_run_id, app.now(), longest).await?;
    Ok(Json(limits.into_iter().map(ChangedLimit::by_name).collect()))
}
