//! `POST /concurrency_limits/`: makes the limit of a tag, or changes the one that there is.

use axum::{extract::State, http::StatusCode, routing::post};
use common::{
    App, Result,
    http::{Body, Json, Route},
    model::{
        ConcurrencyLimit, ConcurrencyLimitId,
        concurrency_limit::{TagConcurrencyLimit, name_of_tag},
    },
    store::entity::Added,
};
use serde::Deserialize;

/// The contract's `create_concurrency_limit`.
pub static ROUTE: Route = Route::post("create_concurrency_limit", "/concurrency_limits/", || post(create));

#[derive(Debug, Deserialize)]
struct LimitCreate {
    tag: String,
    concurrency_limit: i64,
}

async fn create(
    State(app): State<App>,
    Body(body): Body<LimitCreate>,
) -> Result<(StatusCode, Json<TagConcurrencyLimit>)> {
    let now = app.now();
    let limit = ConcurrencyLimit::new(ConcurrencyLimitId::new(), name_of_tag(&body.tag), body.concurrency_limit, now);
    let change = |limit: &mut ConcurrencyLimit| {
        (limit.limit, limit.updated) = (body.concurrency_limit, now);
        Ok(())
    };
    let (limit, added) = app.store.upsert(&limit, change).await?;
    let status = if added == Added::Created { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(app.store.with_holders(&limit, now).await?)))
}
