//! `POST /ui/flows/count-deployments`: counts the deployments of flows.

use axum::{extract::State, routing::post};
use common::{
    App, Error, Result,
    http::{Body, Json, Route},
    model::FlowId,
    store::deployments,
};
use futures::{StreamExt, TryStreamExt, stream};
use indexmap::{IndexMap, IndexSet};
use serde::Deserialize;

use crate::AT_ONCE;

/// The contract's `count_deployments_by_flow`.
pub static ROUTE: Route =
    Route::post("count_deployments_by_flow", "/ui/flows/count-deployments", || post(count_deployments))
        .accessing(deployments::COUNT_OWN);

#[derive(Debug, Deserialize)]
struct Flows {
    flow_ids: IndexSet<FlowId>,
}

async fn count_deployments(State(app): State<App>, Body(body): Body<Flows>) -> Result<Json<IndexMap<FlowId, u64>>> {
    let store = &app.store;
    let counts = stream::iter(body.flow_ids)
        .map(|id| async move { Ok::<_, Error>((id, store.count_own_deployments(id).await?)) })
        .buffered(AT_ONCE);
    Ok(Json(counts.try_collect().await?))
}
