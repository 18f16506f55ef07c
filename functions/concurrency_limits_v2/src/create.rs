//! `POST /v2/concurrency_limits/`: makes a concurrency limit.

use axum::{extract::State, http::StatusCode, routing::post};
use common::{
    App, Result,
    http::{Body, Json, Route},
    model::{ConcurrencyLimit, ConcurrencyLimitId},
};
use serde::Deserialize;

/// The contract's `create_concurrency_limit_v2`.
pub static ROUTE: Route = Route::post("create_concurrency_limit_v2", "/v2/concurrency_limits/", || post(create));

#[derive(Debug, Deserialize)]
struct LimitCreate {
    active: bool,
    name: String,
    limit: i64,
    active_slots: i64,
    denied_slots: i64,
    slot_decay_per_second: f64,
}

async fn create(State(app): State<App>, Body(body): Body<LimitCreate>) -> Result<(StatusCode, Json<ConcurrencyLimit>)> {
    let limit = ConcurrencyLimit {
        active: body.active,
        active_slots: body.active_slots,
        denied_slots: body.denied_slots,
        slot_decay_per_second: body.slot_decay_per_second,
        ..ConcurrencyLimit::new(ConcurrencyLimitId::new(), body.name, body.limit, app.now())
    };
    app.store.add(&limit).await?;
    Ok((StatusCode::CREATED, Json(limit)))
}
