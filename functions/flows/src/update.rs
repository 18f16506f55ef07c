//! `PATCH /flows/{id}`: changes a flow's tags.

use axum::{extract::State, http::StatusCode, routing::patch};
use common::{
    Api, Error, Result,
    http::{Path, Route, Sent, extract::Id},
    model::FlowId,
    store::commit::until_uncontended,
};
use serde::Deserialize;

/// The contract's `update_flow`.
pub static ROUTE: Route = Route::patch("update_flow", "/flows/{id}", || patch(update));

#[derive(Debug, Deserialize)]
struct FlowUpdate {
    tags: Option<Vec<String>>,
}

async fn update(
    State(api): State<Api>,
    Path(path): Path<Id<FlowId>>,
    Sent(body): Sent<FlowUpdate>,
) -> Result<StatusCode> {
    until_uncontended(|| async {
        let mut flow = api.store.flow(path.id).await?.ok_or_else(|| Error::not_found("Flow"))?;
        if let Some(tags) = &body.tags {
            flow.record.tags.clone_from(tags);
        }
        flow.record.updated = api.now();
        api.store.update_flow(&flow.record, flow.version).await
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}
