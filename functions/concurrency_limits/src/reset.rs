//! `POST /concurrency_limits/tag/{tag}/reset`: takes the slots of a tag back, and says who holds them.

use axum::{extract::State, routing::post};
use common::{
    App, InWords, Result,
    http::{Body, Json, Path, Route},
    model::TaskRunId,
    store::tag_limits::limit_of,
};
use serde::Deserialize;

use crate::{NOT_FOUND, Tag};

/// The contract's `reset_concurrency_limit_by_tag`.
pub static ROUTE: Route =
    Route::post("reset_concurrency_limit_by_tag", "/concurrency_limits/tag/{tag}/reset", || post(reset));

#[derive(Debug, Deserialize)]
struct Reset {
    slot_override: Option<Vec<TaskRunId>>,
}

async fn reset(State(app): State<App>, Path(path): Path<Tag>, Body(body): Body<Reset>) -> Result<Json<()>> {
    let (holders, longest) = (body.slot_override.unwrap_or_default(), app.settings.longest_waits);
    app.store.reset_tag_limit(limit_of(&path.tag), &holders, app.now(), longest).await.in_words(NOT_FOUND)?;
    Ok(Json(()))
}
