//! `POST /deployments/{id}/create_flow_run`: makes a flow run of a deployment, or finds the one under its idempotency key.

use axum::{extract::State, http::StatusCode, routing::post};
use common::{
    App, Result,
    blocks::answers,
    deployment_runs::{FlowRunOfDeployment, Source},
    flow_run_creation::{self, CreatingAutomation},
    http::{Body, Headers, Json, Path, Route, extract::Id},
    model::{DeploymentId, FlowRun},
    orchestration::Client,
    store::TableAccess,
    workspace_variables::WorkspaceVariables,
};

/// The contract's `create_flow_run_from_deployment`.
pub static ROUTE: Route =
    Route::post("create_flow_run_from_deployment", "/deployments/{id}/create_flow_run", || post(create_flow_run))
        .accessing(TableAccess::WRITES.and(answers::DEFAULTS));

async fn create_flow_run(
    State(app): State<App>,
    Path(path): Path<Id<DeploymentId>>,
    Headers(automation): Headers<CreatingAutomation>,
    Body(body): Body<FlowRunOfDeployment>,
) -> Result<(StatusCode, Json<FlowRun>)> {
    let source = Source::read(&app, path.id).await?;
    let variables = WorkspaceVariables::new(&app.store);
    let new = source.new_run(&app, &body, automation.created_by(), &variables).await;
    let new = new.map_err(|refusal| refusal.into_error(path.id))?;
    let made = flow_run_creation::create(&app, &new, &Client::default()).await?;
    let status = if made.is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(made.run.with_estimates(app.now()))))
}
