//! `PATCH /flows/{id}`: changes a flow's tags.

use axum::{extract::State, http::StatusCode, routing::patch};
use common::{
    App, Result,
    http::{Path, Route, Sent, extract::Id},
    model::{Flow, FlowId},
    patch::Patch,
};
use serde::Deserialize;

/// The contract's `update_flow`.
pub static ROUTE: Route = Route::patch("update_flow", "/flows/{id}", || patch(update));

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct FlowUpdate {
    tags: Patch<Vec<String>>,
}

async fn update(
    State(app): State<App>,
    Path(path): Path<Id<FlowId>>,
    Sent(body): Sent<FlowUpdate>,
) -> Result<StatusCode> {
    app.store
        .update(path.id, |flow: &mut Flow| {
            body.tags.set_unless_null(&mut flow.tags);
            flow.updated = app.now();
            Ok(())
        })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
