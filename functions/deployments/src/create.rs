//! `POST /deployments/`: makes a deployment, or changes the one of that name in its flow.

use axum::{Json, extract::State, http::StatusCode, routing::post};
use common::{
    App, Error, Result,
    flow_run_creation::labels_of_flow,
    http::{Body, Route, Sent},
    job_variables,
    model::{
        BlockDocumentId, ConcurrencyLimitId, Deployment, DeploymentId, Flow, FlowId, Object,
        deployment::{ConcurrencyOptions, DeploymentResponse},
    },
    patch::sent,
    store::{
        CommitError, TableAccess, Write, commit::retry_on_conflict, deployments::AutoScheduled, table::Index,
        work_pools::DEFAULT_AGENT_POOL,
    },
};
use serde::Deserialize;

use crate::{
    limits,
    places::{self, Asked},
    responses,
    schedules::{self, NewSchedule},
    sent::{parameter_schema, set},
};

/// The contract's `create_deployment`.
pub static ROUTE: Route = Route::post("create_deployment", "/deployments/", || post(create))
    .accessing(TableAccess::WRITES.via(&[Index::WaitingOfDeployment]));

/// What the client sent; of a deployment that is there already, the rest stays as it is.
#[derive(Debug, Deserialize)]
struct DeploymentCreate {
    name: String,
    flow_id: FlowId,
    paused: Option<bool>,
    #[serde(default, deserialize_with = "sent")]
    concurrency_limit: Option<Option<i64>>,
    #[serde(default, deserialize_with = "sent")]
    concurrency_options: Option<Option<ConcurrencyOptions>>,
    #[serde(default, deserialize_with = "sent")]
    global_concurrency_limit_id: Option<Option<ConcurrencyLimitId>>,
    enforce_parameter_schema: Option<bool>,
    #[serde(default, deserialize_with = "parameter_schema")]
    parameter_openapi_schema: Option<Option<Object>>,
    /// Prefect puts empty ones in the place of what was not sent.
    #[serde(default)]
    parameters: Object,
    tags: Option<Vec<String>>,
    labels: Option<Object>,
    #[serde(default, deserialize_with = "sent")]
    pull_steps: Option<Option<Vec<Object>>>,
    #[serde(default, deserialize_with = "sent")]
    work_queue_name: Option<Option<String>>,
    work_pool_name: Option<String>,
    storage_document_id: Option<BlockDocumentId>,
    infrastructure_document_id: Option<BlockDocumentId>,
    #[serde(default, deserialize_with = "sent")]
    description: Option<Option<String>>,
    #[serde(default, deserialize_with = "sent")]
    path: Option<Option<String>>,
    #[serde(default, deserialize_with = "sent")]
    version: Option<Option<String>>,
    #[serde(default, deserialize_with = "sent")]
    entrypoint: Option<Option<String>>,
    job_variables: Option<Object>,
}

/// The schedules, each with the contract's defaults.
#[derive(Debug, Deserialize)]
struct Schedules {
    schedules: Vec<NewSchedule>,
}

async fn create(
    State(app): State<App>,
    Sent(body): Sent<DeploymentCreate>,
    Body(Schedules { schedules }): Body<Schedules>,
) -> Result<(StatusCode, Json<DeploymentResponse>)> {
    require_name(&body.name)?;
    let pool = places::pool(&app, body.work_pool_name.as_deref()).await?;
    if let (Some(of), Some(variables)) = (&pool, &body.job_variables)
        && let pool = &of.pool.record.pool
        && pool.name != DEFAULT_AGENT_POOL
        && !variables.is_empty()
    {
        job_variables::check_of_deployment(&pool.base_job_template, variables)?;
    }
    limits::require(&app, body.global_concurrency_limit_id).await?;
    require_blocks(&body)?;
    let flow = app.store.flow(body.flow_id).await?.ok_or_else(Error::integrity_conflict)?.record;
    let id = DeploymentId::new();
    let queue_name = body.work_queue_name.as_ref().and_then(Option::as_deref);
    let asked = places::find_or_make(&app, pool.as_ref(), queue_name).await?;
    let (deployment, status) = retry_on_conflict(|| add(&app, &body, &schedules, &flow, &asked, id)).await?;
    if status == StatusCode::OK {
        app.store.delete_scheduled_runs(deployment.id, AutoScheduled::After(app.now())).await?;
    }
    Ok((status, Json(responses::one(&app, &deployment).await?)))
}

/// Adds the deployment, or changes the one that has its name.
async fn add(
    app: &App,
    body: &DeploymentCreate,
    schedules: &[NewSchedule],
    flow: &Flow,
    asked: &Asked,
    id: DeploymentId,
) -> Result<(Deployment, StatusCode), CommitError> {
    let now = app.now();
    let found = app.store.deployment_by_name(flow.id, &body.name).await?;
    match found {
        // With our id, the write before was carried out, only its answer was lost.
        Some(found) if found.record.id == id => Ok((found.record, StatusCode::CREATED)),
        Some(found) => {
            let mut changed = body.over(found.record.clone(), flow, asked);
            changed.updated = now;
            schedules::replace(&mut changed, schedules.to_vec(), now);
            schedules::require_unique_slugs(&changed)?;
            let beside = body.limit(app, &mut changed).await?;
            app.store.update_deployment(&found, &changed, beside).await?;
            Ok((changed, StatusCode::OK))
        }
        None => {
            let mut new = body.over(Deployment::new(id, flow, body.name.clone(), now), flow, asked);
            schedules::replace(&mut new, schedules.to_vec(), now);
            schedules::require_unique_slugs(&new)?;
            let beside = body.limit(app, &mut new).await?;
            app.store.add_deployment(&new, beside).await?;
            Ok((new, StatusCode::CREATED))
        }
    }
}

impl DeploymentCreate {
    /// Puts what was sent over `deployment`.
    fn over(&self, mut deployment: Deployment, flow: &Flow, asked: &Asked) -> Deployment {
        set(&mut deployment.paused, self.paused.as_ref());
        set(&mut deployment.concurrency_options, self.concurrency_options.as_ref());
        set(&mut deployment.concurrency_limit_id, self.global_concurrency_limit_id.as_ref());
        set(&mut deployment.enforce_parameter_schema, self.enforce_parameter_schema.as_ref());
        set(&mut deployment.parameter_openapi_schema, self.parameter_openapi_schema.as_ref());
        set(&mut deployment.parameters, Some(&self.parameters));
        set(&mut deployment.tags, self.tags.as_ref());
        set(&mut deployment.pull_steps, self.pull_steps.as_ref());
        set(&mut deployment.work_queue_name, self.work_queue_name.as_ref());
        set(&mut deployment.description, self.description.as_ref());
        set(&mut deployment.path, self.path.as_ref());
        set(&mut deployment.version, self.version.as_ref());
        set(&mut deployment.entrypoint, self.entrypoint.as_ref());
        set(&mut deployment.job_variables, self.job_variables.as_ref());
        deployment.labels = labels_of_flow(flow, self.labels.as_ref());
        asked.put(&mut deployment);
        deployment
    }

    /// Gives the deployment the limit that was asked for, if one was; returns what writes the limit.
    async fn limit(&self, app: &App, deployment: &mut Deployment) -> Result<Vec<Write>> {
        match self.concurrency_limit {
            Some(wanted) => app.store.limit_deployment(deployment, wanted, app.now()).await,
            None => Ok(Vec::new()),
        }
    }
}

/// Refuses block documents, of which none is stored yet.
fn require_blocks(body: &DeploymentCreate) -> Result<()> {
    let missing = body
        .infrastructure_document_id
        .map(|id| ("infrastructure", id))
        .or_else(|| body.storage_document_id.map(|id| ("storage", id)));
    match missing {
        None => Ok(()),
        Some((kind, id)) => Err(Error::Conflict(format!(
            "Error creating deployment. Could not find {kind} block with id: {id}. This usually occurs when applying a \
             deployment specification that was built against a different Prefect database / workspace."
        ))),
    }
}

/// Refuses the names that a path can't hold; Prefect breaks down on them.
fn require_name(name: &str) -> Result<()> {
    if name.contains(['/', '%', '&', '>', '<']) {
        return Err(Error::Unprocessable("A deployment's name must not contain any of / % & > <".into()));
    }
    Ok(())
}
