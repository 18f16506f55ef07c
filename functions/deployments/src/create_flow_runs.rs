//! `POST /deployments/{id}/create_flow_run/bulk`: makes up to a hundred flow runs of a deployment.
//!
//! Each of them by itself: one that can't be made says why, and the others are made.

use axum::{extract::State, routing::post};
use common::{
    App, Error, Result,
    blocks::answers,
    deployment_runs::{FlowRunOfDeployment, Refusal, Source},
    flow_run_creation::{self, CreatingAutomation},
    http::{Body, Headers, Json, Path, Route, extract::Id},
    model::{DeploymentId, FlowRunId},
    orchestration::Client,
    schema_tools::validation::Invalid,
    store::TableAccess,
    workspace_variables::WorkspaceVariables,
};
use futures::{StreamExt, TryStreamExt, stream};
use serde::Serialize;

/// The contract's `bulk_create_flow_runs_from_deployment`.
pub static ROUTE: Route =
    Route::post("bulk_create_flow_runs_from_deployment", "/deployments/{id}/create_flow_run/bulk", || {
        post(create_flow_runs)
    })
    .accessing(TableAccess::WRITES.and(answers::DEFAULTS));

/// How many flow runs one request makes at most.
const MOST: usize = 100;

/// How many are made at the same time.
const AT_ONCE: usize = 8;

#[derive(Debug, Serialize)]
struct Results {
    results: Vec<Outcome>,
}

/// What became of one flow run (contract schema `FlowRunCreateResult`).
#[derive(Debug, Serialize)]
struct Outcome {
    flow_run_id: Option<FlowRunId>,
    status: &'static str,
    error: Option<String>,
}

async fn create_flow_runs(
    State(app): State<App>,
    Path(path): Path<Id<DeploymentId>>,
    Headers(automation): Headers<CreatingAutomation>,
    Body(body): Body<Vec<FlowRunOfDeployment>>,
) -> Result<Json<Results>> {
    if body.len() > MOST {
        return Err(Error::BadRequest(format!("Cannot create more than {MOST} flow runs at once.")));
    }
    let source = Source::read(&app, path.id).await?;
    let variables = WorkspaceVariables::new(&app.store);
    let results = stream::iter(body)
        .map(|asked| {
            let (app, source, automation, variables) = (&app, &source, &automation, &variables);
            async move { create(app, source, &asked, automation, variables).await }
        })
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    Ok(Json(Results { results }))
}

/// Makes one flow run.
///
/// # Errors
/// Only where the fault is the server's, so that the client tries again.
async fn create(
    app: &App,
    source: &Source,
    asked: &FlowRunOfDeployment,
    automation: &CreatingAutomation,
    variables: &WorkspaceVariables<'_>,
) -> Result<Outcome> {
    let made = async {
        let new = source.new_run(app, asked, automation.created_by(), variables).await?;
        Ok(flow_run_creation::create(app, &new, &Client::default()).await?)
    };
    match made.await {
        Ok(made) => Ok(Outcome { flow_run_id: Some(made.run.id), status: "CREATED", error: None }),
        Err(Refusal::Other(error)) if error.status().is_server_error() => Err(error),
        Err(refusal) => Ok(Outcome { flow_run_id: None, status: "FAILED", error: Some(reason(refusal)) }),
    }
}

fn reason(refusal: Refusal) -> String {
    match refusal {
        Refusal::NotHydrated(why) => why,
        Refusal::NoSchema => "Parameter schema enforcement is enabled but deployment has no valid schema.".into(),
        Refusal::Unfit(Invalid::Circular) => "Invalid schema: circular references detected.".into(),
        Refusal::Unfit(Invalid::NotASchema(why)) => format!("Invalid schema: {why}"),
        Refusal::Unfit(invalid) => format!("Parameter validation failed: {invalid}"),
        Refusal::NoPool { queue } => format!(
            "Cannot create flow run in work queue {queue} because deployment is not associated with a work pool."
        ),
        Refusal::Other(error) => error.to_string(),
    }
}
