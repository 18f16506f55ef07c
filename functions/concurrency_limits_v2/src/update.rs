//! `PATCH /v2/concurrency_limits/{id_or_name}`: changes a concurrency limit.

use axum::{extract::State, http::StatusCode, routing::patch};
use common::{
    App, InWords, Result,
    http::{Path, Route, Sent},
    model::{ConcurrencyLimit, Timestamp},
    patch::Patch,
};
use serde::Deserialize;

use crate::{NOT_FOUND, path::IdOrName};

/// The contract's `update_concurrency_limit_v2`.
pub static ROUTE: Route =
    Route::patch("update_concurrency_limit_v2", "/v2/concurrency_limits/{id_or_name}", || patch(update));

/// What the client sent; a null is no value for any of these.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct LimitUpdate {
    active: Patch<bool>,
    name: Patch<String>,
    limit: Patch<i64>,
    active_slots: Patch<i64>,
    denied_slots: Patch<i64>,
    slot_decay_per_second: Patch<f64>,
}

async fn update(
    State(app): State<App>,
    Path(path): Path<IdOrName>,
    Sent(sent): Sent<LimitUpdate>,
) -> Result<StatusCode> {
    app.store.update(path.limit(), |limit| sent.apply(limit, app.now())).await.in_words(NOT_FOUND)?;
    Ok(StatusCode::NO_CONTENT)
}

impl LimitUpdate {
    /// Changes `limit` at `now`.
    fn apply(&self, limit: &mut ConcurrencyLimit, now: Timestamp) -> Result<()> {
        self.active.set(&mut limit.active)?;
        self.name.set(&mut limit.name)?;
        self.limit.set(&mut limit.limit)?;
        self.active_slots.set(&mut limit.active_slots)?;
        self.denied_slots.set(&mut limit.denied_slots)?;
        self.slot_decay_per_second.set(&mut limit.slot_decay_per_second)?;
        limit.updated = now;
        Ok(())
    }
}
