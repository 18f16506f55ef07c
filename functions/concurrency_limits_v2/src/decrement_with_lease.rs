//! `POST /v2/concurrency_limits/decrement-with-lease`: gives a lease and its slots back.

use axum::{extract::State, http::StatusCode, routing::post};
use common::{
    Api, Result,
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

async fn decrement(State(api): State<Api>, Body(held): Body<Held>) -> Result<StatusCode> {
    api.store.release_lease(held.lease_id, api.now(), api.settings.longest_waits, |_| false).await?;
    Ok(StatusCode::NO_CONTENT)
}
