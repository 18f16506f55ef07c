//! `POST /v2/concurrency_limits/increment`: takes slots of limits.

use axum::{extract::State, response::Response, routing::post};
use common::{
    App, Result,
    http::{Body, Route},
};

use crate::taking::{WantedSlots, take};

/// The contract's `bulk_increment_active_slots`.
pub static ROUTE: Route =
    Route::post("bulk_increment_active_slots", "/v2/concurrency_limits/increment", || post(increment));

async fn increment(State(app): State<App>, Body(wanted): Body<WantedSlots>) -> Result<Response> {
    take(&app, &wanted, None, |limits| limits).await
}
