//! `PATCH /flow_runs/{id}/labels`: adds labels to a flow run.

use axum::{extract::State, http::StatusCode, routing::patch};
use common::{
    App, Error, Result,
    http::{Body, Path, Route, extract::Id},
    model::{FlowRunId, Object},
    store::commit::retry_on_conflict,
};

/// The contract's `update_flow_run_labels`.
pub static ROUTE: Route = Route::patch("update_flow_run_labels", "/flow_runs/{id}/labels", || patch(update));

async fn update(
    State(app): State<App>,
    Path(path): Path<Id<FlowRunId>>,
    Body(labels): Body<Object>,
) -> Result<StatusCode> {
    retry_on_conflict(|| async {
        let found = app.store.flow_run(path.id).await?;
        let mut run = found.ok_or_else(|| Error::no_such_run("Flow run", path.id))?;
        run.record.labels.extend(labels.clone());
        run.record.updated = app.now();
        app.store.commit(vec![app.store.replace(&run.record, run.version)?]).await
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}
