//! `POST /flows/`: makes a flow, or finds the one of that name.

use axum::{extract::State, http::StatusCode, routing::post};
use common::{
    App, Result,
    http::{Body, Json, Route},
    model::{Flow, FlowId, Object},
    store::Added,
};
use serde::Deserialize;

/// The contract's `create_flow`.
pub static ROUTE: Route = Route::post("create_flow", "/flows/", || post(create));

#[derive(Debug, Deserialize)]
struct FlowCreate {
    name: String,
    tags: Vec<String>,
    labels: Option<Object>,
}

async fn create(State(app): State<App>, Body(body): Body<FlowCreate>) -> Result<(StatusCode, Json<Flow>)> {
    let mut flow = Flow::new(FlowId::new(), body.name, app.now());
    flow.tags = body.tags;
    flow.labels = body.labels;
    let (flow, added) = app.store.add_flow(flow).await?;
    let status = match added {
        Added::Created => StatusCode::CREATED,
        Added::Existed => StatusCode::OK,
    };
    Ok((status, Json(flow)))
}
