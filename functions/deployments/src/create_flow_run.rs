//! `POST /deployments/{id}/create_flow_run`: makes a flow run of a deployment, or finds the one under its idempotency key.

use axum::{extract::State, http::StatusCode, routing::post};
use common::{
    App, Error, Result,
    blocks::answers,
    flow_run_creation::{self, CreatingAutomation},
    http::{Body, Headers, Json, Path, Route, extract::Id},
    model::{DeploymentId, FlowRun},
    orchestration::Client,
    schema_tools::validation::Invalid,
    store::TableAccess,
    workspace_variables::WorkspaceVariables,
};

use crate::{
    flow_runs::{FlowRunOfDeployment, Refusal, Source},
    update::NO_SCHEMA,
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
    let new = source.new_run(&app, &body, &automation, &variables).await;
    let new = new.map_err(|refusal| refused(path.id, refusal))?;
    let made = flow_run_creation::create(&app, &new, &Client::default()).await?;
    let status = if made.is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(made.run.with_estimates(app.now()))))
}

fn refused(id: DeploymentId, refusal: Refusal) -> Error {
    match refusal {
        Refusal::NotHydrated(why) => Error::BadRequest(format!("Error hydrating flow run parameters: {why}")),
        Refusal::NoSchema => Error::Conflict(NO_SCHEMA.into()),
        Refusal::Unfit(Invalid::Circular) => {
            Error::Unprocessable("Invalid schema: Unable to validate schema with circular references.".into())
        }
        Refusal::Unfit(Invalid::NotASchema(why)) => Error::Unprocessable(format!("Invalid schema: {why}")),
        Refusal::Unfit(invalid) => Error::Conflict(format!("Error creating flow run: {invalid}")),
        Refusal::NoPool { queue } => Error::BadRequest(format!(
            "Cannot create flow run in work queue {queue} because deployment {id} is not associated with a work pool. \
             Please remove work_pool_name and try again."
        )),
        Refusal::Other(error) => error,
    }
}
