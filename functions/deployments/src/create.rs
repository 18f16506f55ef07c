//! `POST /deployments/`: makes a deployment, or changes the one of that name in its flow.

use axum::{extract::State, http::StatusCode, routing::post};
use common::{
    App, Error, Result,
    blocks::answers,
    deployment_responses,
    flow_run_creation::labels_of_flow,
    http::{Json, Route, Sent},
    job_variables,
    model::{
        BlockDocumentId, ConcurrencyLimitId, Deployment, DeploymentId, Flow, FlowId, Object, Timestamp,
        deployment::{ConcurrencyOptions, DeploymentResponse},
    },
    patch::Patch,
    schema_tools::{Allowance, validation::check_parameters},
    store::{
        deployments::{self, DeploymentChange, Named},
        work_pools::DEFAULT_AGENT_POOL,
    },
    void_runs,
};
use serde::Deserialize;

use crate::{
    limits,
    queue_assignment::{self, Asked},
    schedules::{self, NewSchedule},
    update::parameter_schema,
};

/// The contract's `create_deployment`.
pub static ROUTE: Route = Route::post("create_deployment", "/deployments/", || post(create))
    .accessing(deployments::DELETE_VOID_RUNS.and(answers::DEFAULTS))
    .checking_parameters(check_parameters);

/// What the client sent; of a deployment that is there already, the rest stays as it is.
///
/// In Prefect the parameters, the labels and the schedules become none where they are not sent. A client that doesn't know
/// of them must not take away what another has set.
#[derive(Debug, Deserialize)]
struct DeploymentCreate {
    name: String,
    flow_id: FlowId,
    #[serde(default)]
    paused: Patch<bool>,
    #[serde(default)]
    concurrency_limit: Patch<i64>,
    #[serde(default)]
    concurrency_options: Patch<ConcurrencyOptions>,
    #[serde(default)]
    global_concurrency_limit_id: Patch<ConcurrencyLimitId>,
    #[serde(default)]
    enforce_parameter_schema: Patch<bool>,
    #[serde(default, deserialize_with = "parameter_schema")]
    parameter_openapi_schema: Patch<Object>,
    #[serde(default)]
    parameters: Patch<Object>,
    #[serde(default)]
    tags: Patch<Vec<String>>,
    #[serde(default)]
    labels: Patch<Object>,
    #[serde(default)]
    pull_steps: Patch<Vec<Object>>,
    #[serde(default)]
    work_queue_name: Patch<String>,
    work_pool_name: Option<String>,
    #[serde(default)]
    storage_document_id: Patch<BlockDocumentId>,
    #[serde(default)]
    infrastructure_document_id: Patch<BlockDocumentId>,
    #[serde(default)]
    description: Patch<String>,
    #[serde(default)]
    path: Patch<String>,
    #[serde(default)]
    version: Patch<String>,
    #[serde(default)]
    entrypoint: Patch<String>,
    #[serde(default)]
    job_variables: Patch<Object>,
    schedules: Option<Vec<NewSchedule>>,
}

async fn create(
    State(app): State<App>,
    Sent(body): Sent<DeploymentCreate>,
) -> Result<(StatusCode, Json<DeploymentResponse>)> {
    require_name(&body.name)?;
    let pool = queue_assignment::pool(&app, body.work_pool_name.as_ref()).await?;
    if let (Some(of), Some(variables)) = (&pool, body.job_variables.value())
        && let pool = &of.pool.record.pool
        && pool.name != DEFAULT_AGENT_POOL
        && !variables.is_empty()
    {
        let blocks = answers::with_defaults_of(&app, &pool.base_job_template).await?;
        job_variables::check_of_deployment(&pool.base_job_template, &blocks, variables, &Allowance::default())?;
    }
    limits::require(&app, &body.global_concurrency_limit_id).await?;
    require_blocks(&app, &body).await?;
    let flow = app.store.flow(body.flow_id).await?.ok_or_else(Error::integrity_conflict)?.record;
    let queue = queue_assignment::find_or_make(&app, pool.as_ref(), body.work_queue_name.value()).await?;
    let now = app.now();
    let new = Deployment::new(DeploymentId::new(), &flow, body.name.clone(), now);
    let change = |named| std::future::ready(body.changed(named, &flow, &queue, now));
    let (deployment, is_new) = app.store.put_deployment(&new, change).await?;
    if !is_new {
        void_runs::after_change(&app, &deployment).await;
    }
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(deployment_responses::one(&app, &deployment).await?)))
}

impl DeploymentCreate {
    /// Returns what the request makes of a deployment at `now`.
    fn changed(&self, named: Named, flow: &Flow, queue: &Asked, now: Timestamp) -> Result<DeploymentChange> {
        let is_new = matches!(named, Named::New(_));
        let (Named::New(mut deployment) | Named::There(mut deployment)) = named;
        deployment.updated = now;
        self.apply_to(&mut deployment);
        if is_new || self.labels.is_sent() {
            deployment.labels = labels_of_flow(flow, self.labels.value());
        }
        queue.assign_to(&mut deployment);
        if let Some(schedules) = &self.schedules {
            schedules::replace(&mut deployment, schedules.clone(), now);
        }
        schedules::check(&deployment)?;
        Ok(DeploymentChange { deployment, limit: self.concurrency_limit.clone() })
    }

    /// Puts what was sent over `deployment`, but for its labels, its queue, its limit and its schedules.
    fn apply_to(&self, deployment: &mut Deployment) {
        self.paused.set_unless_null(&mut deployment.paused);
        self.concurrency_options.set_or_clear(&mut deployment.concurrency_options);
        self.global_concurrency_limit_id.set_or_clear(&mut deployment.concurrency_limit_id);
        self.enforce_parameter_schema.set_unless_null(&mut deployment.enforce_parameter_schema);
        self.parameter_openapi_schema.set_or_clear(&mut deployment.parameter_openapi_schema);
        self.parameters.set_or_default(&mut deployment.parameters);
        self.tags.set_unless_null(&mut deployment.tags);
        self.pull_steps.set_or_clear(&mut deployment.pull_steps);
        self.work_queue_name.set_or_clear(&mut deployment.work_queue_name);
        self.description.set_or_clear(&mut deployment.description);
        self.path.set_or_clear(&mut deployment.path);
        self.version.set_or_clear(&mut deployment.version);
        self.entrypoint.set_or_clear(&mut deployment.entrypoint);
        self.job_variables.set_unless_null(&mut deployment.job_variables);
        self.storage_document_id.set_or_clear(&mut deployment.storage_document_id);
        self.infrastructure_document_id.set_or_clear(&mut deployment.infrastructure_document_id);
    }
}

/// Refuses block documents that are not there.
async fn require_blocks(app: &App, body: &DeploymentCreate) -> Result<()> {
    let named =
        [("infrastructure", body.infrastructure_document_id.value()), ("storage", body.storage_document_id.value())];
    for (kind, id) in named {
        let Some(id) = id else { continue };
        answers::require(&app.store, [*id]).await.map_err(|error| match error {
            Error::Conflict(_) => Error::Conflict(format!(
                "Error creating deployment. Could not find {kind} block with id: {id}. This usually occurs when applying \
                 a deployment specification that was built against a different Prefect database / workspace."
            )),
            other => other,
        })?;
    }
    Ok(())
}

/// Refuses the names that a path can't hold; Prefect breaks down on them.
fn require_name(name: &str) -> Result<()> {
    if name.contains(['/', '%', '&', '>', '<']) {
        return Err(Error::Unprocessable("A deployment's name must not contain any of / % & > <".into()));
    }
    Ok(())
}
