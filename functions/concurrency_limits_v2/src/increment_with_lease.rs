//! `POST /v2/concurrency_limits/increment-with-lease`: takes slots of limits, and a lease on them.

use axum::{Json, extract::State, routing::post};
use common::{
    Api, Result,
    http::{Body, Route},
    model::{Lease, LeaseId},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The contract's `bulk_increment_active_slots_with_lease`.
pub static ROUTE: Route =
    Route::post("bulk_increment_active_slots_with_lease", "/v2/concurrency_limits/increment-with-lease", || {
        post(increment)
    });

#[derive(Debug, Deserialize)]
struct WantedSlots {
    slots: i64,
    lease_duration: f64,
    holder: Option<Value>,
}

#[derive(Debug, Serialize)]
struct Leased {
    lease_id: LeaseId,
    limits: Vec<Value>,
}

async fn increment(State(api): State<Api>, Body(wanted): Body<WantedSlots>) -> Result<Json<Leased>> {
    let lease = Lease {
        id: LeaseId::new(),
        expiration: api.now().plus_seconds(wanted.lease_duration),
        slots: wanted.slots,
        holder: wanted.holder,
    };
    api.store.add_lease(&lease).await?;
    Ok(Json(Leased { lease_id: lease.id, limits: Vec::new() }))
}
