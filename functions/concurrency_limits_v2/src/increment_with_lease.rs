//! `POST /v2/concurrency_limits/increment-with-lease`: takes slots of limits, and a lease on them.

use axum::{extract::State, response::Response, routing::post};
use common::{
    App, Result,
    http::{Body, Route},
    model::{Lease, LeaseId},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::taking::{TakenLimit, WantedSlots, take};

/// The contract's `bulk_increment_active_slots_with_lease`.
pub static ROUTE: Route =
    Route::post("bulk_increment_active_slots_with_lease", "/v2/concurrency_limits/increment-with-lease", || {
        post(increment)
    });

#[derive(Debug, Deserialize)]
struct WantedLease {
    #[serde(flatten)]
    wanted: WantedSlots,
    lease_duration: f64,
    holder: Option<Value>,
}

#[derive(Debug, Serialize)]
struct Leased {
    lease_id: LeaseId,
    limits: Vec<TakenLimit>,
}

async fn increment(State(app): State<App>, Body(body): Body<WantedLease>) -> Result<Response> {
    let now = app.now();
    let lease = Lease {
        id: LeaseId::new(),
        expiration: now.plus_seconds(body.lease_duration),
        slots: body.wanted.slots,
        holder: body.holder,
        created: Some(now),
        limits: Vec::new(),
        is_listed: false,
    };
    take(&app, &body.wanted, Some(&lease), |limits| Leased { lease_id: lease.id, limits }).await
}
