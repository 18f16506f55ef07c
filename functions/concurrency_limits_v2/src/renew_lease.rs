//! `POST /v2/concurrency_limits/leases/{lease_id}/renew`: keeps a lease.

use axum::{extract::State, http::StatusCode, routing::post};
use common::{
    App, Error, Result,
    http::{Body, Path, Route},
    model::LeaseId,
};
use serde::Deserialize;

/// The contract's `renew_concurrency_lease`.
pub static ROUTE: Route =
    Route::post("renew_concurrency_lease", "/v2/concurrency_limits/leases/{lease_id}/renew", || post(renew));

#[derive(Debug, Deserialize)]
struct Lease {
    lease_id: LeaseId,
}

#[derive(Debug, Deserialize)]
struct Renewal {
    lease_duration: f64,
}

async fn renew(State(app): State<App>, Path(lease): Path<Lease>, Body(renewal): Body<Renewal>) -> Result<StatusCode> {
    if app.store.renew_lease(lease.lease_id, app.now(), renewal.lease_duration).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Error::Gone("Lease not found - it may have expired or been revoked".into()))
    }
}
