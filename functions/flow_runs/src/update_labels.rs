//! `PATCH /flow_runs/{id}/labels`: adds labels to a flow run.

use axum::{extract::State, http::StatusCode, routing::patch};
use common::{
    App, Result,
    http::{Body, Path, Route, extract::Id},
    model::{FlowRunId, Object},
};

/// The contract's `update_flow_run_labels`.
pub static ROUTE: Route = Route::patch("update_flow_run_labels", "/flow_runs/{id}/labels", || patch(update));

async fn update(
    State(app): State<App>,
    Path(path): Path<Id<FlowRunId>>,
    Body(labels): Body<Object>,
) -> Result<StatusCode> {
    app.store.add_flow_run_labels(path.id, &labels, app.now()).await?;
    Ok(StatusCode::NO_CONTENT)
}
