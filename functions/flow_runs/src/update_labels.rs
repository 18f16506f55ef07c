//! `PATCH /flow_runs/{id}/labels`: adds labels to a flow run.

use axum::{extract::State, http::StatusCode, routing::patch};
use common::{
    Api, Result,
    http::{Body, Path, Route, extract::Id},
    model::{FlowRunId, Object},
    store::commit::until_uncontended,
    transitions::no_such_run,
};

/// The contract's `update_flow_run_labels`.
pub static ROUTE: Route = Route::patch("update_flow_run_labels", "/flow_runs/{id}/labels", || patch(update));

async fn update(
    State(api): State<Api>,
    Path(path): Path<Id<FlowRunId>>,
    Body(labels): Body<Object>,
) -> Result<StatusCode> {
    until_uncontended(|| async {
        let found = api.store.flow_run(path.id).await?;
        let mut run = found.ok_or_else(|| no_such_run("Flow run", path.id))?;
        run.record.labels.extend(labels.clone());
        run.record.updated = api.now();
        api.store.commit(vec![api.store.replace(&run.record, run.version)?]).await
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}
