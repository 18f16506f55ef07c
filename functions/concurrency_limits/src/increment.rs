//! `POST /concurrency_limits/increment`: has a task run hold slots of tags, which it takes once.

use axum::{
    extract::State,
    http::{StatusCode, header::RETRY_AFTER},
    response::{IntoResponse, Response},
    routing::post,
};
use common::{
    App, Result,
    http::{Body, Json, Route},
    store::tag_limits::TagTaking,
};
use serde_json::json;

use crate::slots::{ChangedLimit, TaskRunSlots};

/// The contract's `increment_concurrency_limits_v1`.
pub static ROUTE: Route =
    Route::post("increment_concurrency_limits_v1", "/concurrency_limits/increment", || post(increment));

async fn increment(State(app): State<App>, Body(wanted): Body<TaskRunSlots>) -> Result<Response> {
    let longest = app.settings.longest_waits;
    Ok(match app.store.take_tag_slots(&wanted.names, wanted.task_run_id, app.now(), longest).await? {
        TagTaking::Taken(limits) => Json(limits.iter().map(ChangedLimit::by_tag).collect::<Vec<_>>()).into_response(),
        TagTaking::Full(tag) => {
            let reason = format!("Concurrency limit for the {tag} tag has been reached");
            // As Python writes a float: always with a decimal point.
            let after = format!("{:?}", longest.of_tags);
            (StatusCode::LOCKED, [(RETRY_AFTER, after)], Json(json!({"detail": reason}))).into_response()
        }
        TagTaking::Never(tag) => {
            let reason = format!(
                "The concurrency limit on tag \"{tag}\" is 0 and will deadlock if the task tries to run again."
            );
            (StatusCode::LOCKED, Json(json!({"detail": reason}))).into_response()
        }
    })
}
