//! `POST /flow_runs/{id}/input`: sends a flow run an input.

use axum::{extract::State, http::StatusCode, routing::post};
use common::{
    App, Error, Result,
    http::{Body, Json, Path, Route, extract::Id},
    model::{FlowRunId, FlowRunInput, FlowRunInputId, InputKey},
};
use serde::Deserialize;

/// The contract's `create_flow_run_input`.
pub static ROUTE: Route = Route::post("create_flow_run_input", "/flow_runs/{id}/input", || post(create));

#[derive(Debug, Deserialize)]
struct NewInput {
    key: String,
    value: String,
    sender: Option<String>,
}

async fn create(
    State(app): State<App>,
    Path(path): Path<Id<FlowRunId>>,
    Body(body): Body<NewInput>,
) -> Result<(StatusCode, Json<()>)> {
    let key = InputKey::try_from(body.key).map_err(|invalid| Error::Unprocessable(invalid.to_string()))?;
    let now = app.now();
    let input = FlowRunInput {
        id: FlowRunInputId::new(),
        created: now,
        updated: now,
        flow_run_id: path.id,
        key,
        value: body.value,
        sender: body.sender,
    };
    app.store.add_flow_run_input(&input).await?;
    Ok((StatusCode::CREATED, Json(())))
}
