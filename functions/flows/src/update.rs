//! `PATCH /flows/{id}`: changes a flow's tags.

use axum::{extract::State, http::StatusCode, routing::patch};
use common::{
    App, Error, Result,
    http::{Path, Route, Sent, extract::Id},
    model::FlowId,
    store::commit::retry_on_conflict,
};
use serde::Deserialize;

/// The contract's `update_flow`.
pub static ROUTE: Route = Route::patch("update_flow", "/flows/{id}", || patch(update));

#[derive(Debug, Deserialize)]
struct FlowUpdate {
    tags: Option<Vec<String>>,
}

async fn update(
    State(app): State<App>,
    Path(path): Path<Id<FlowId>>,
    Sent(body): Sent<FlowUpdate>,
) -> Result<StatusCode> {
    retry_on_conflict(|| async {
        let mut flow = app.store.flow(path.id).await?.ok_or_else(|| Error::not_found("Flow"))?;
        if let Some(tags) = &body.tags {
            flow.record.tags.clone_from(tags);
        }
        flow.record.updated = app.now();
        app.store.update_flow(&flow.record, flow.version).await
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}
