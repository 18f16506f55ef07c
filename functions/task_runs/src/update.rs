//! `PATCH /task_runs/{id}`: renames a task run.

use axum::{extract::State, http::StatusCode, routing::patch};
use common::{
    App, Error, Result,
    http::{Path, Route, Sent, extract::Id},
    model::{TaskRunId, name::random_name},
    store::commit::retry_on_conflict,
};
use serde::{Deserialize, Deserializer};

/// The contract's `update_task_run`.
pub static ROUTE: Route = Route::patch("update_task_run", "/task_runs/{id}", || patch(update));

#[derive(Debug, Deserialize)]
struct TaskRunUpdate {
    /// The name, or nothing if the client asks for one that the server makes up.
    #[serde(default, deserialize_with = "sent")]
    name: Option<Option<String>>,
}

fn sent<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

async fn update(
    State(app): State<App>,
    Path(path): Path<Id<TaskRunId>>,
    Sent(body): Sent<TaskRunUpdate>,
) -> Result<StatusCode> {
    let name = body.name.map(|name| name.unwrap_or_else(random_name));
    retry_on_conflict(|| async {
        let mut run = app.store.task_run(path.id).await?.ok_or_else(|| Error::not_found("Task run"))?;
        if let Some(name) = &name {
            run.record.name.clone_from(name);
        }
        run.record.updated = app.now();
        app.store.commit(vec![app.store.replace(&run.record, run.version)?]).await
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}
