//! `POST /v2/concurrency_limits/decrement-with-lease`: gives a lease and its slots back.

use axum::{extract::State, http::StatusCode, routing::post};
use common::{
    App, Result,
    http::{Body, Route},
    model::LeaseId,
};
use serde::Deserialize;

/// The contract's `bulk_decrement_active_slots_with_lease`.
pub static ROUTE: Route =
    Route::post("bulk_decrement_active_slots_with_lease", "/v2/concurrency_limits/decrement-with-lease", || {
        post(decrement)
    });

#[derive(Debug, Deserialize)]
struct Held {
    lease_id: LeaseId,
}

async fn decrement(State(app): State<App>, Body(held): Body<Held>) -> Result<StatusCode> {
    app.store.release_lease(held.lease_id, app.now(), app.settings.longest_waits, |_| false).await?;
    Ok(StatusCode::NO_CONTENT)
}
