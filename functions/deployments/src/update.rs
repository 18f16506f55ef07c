//! `PATCH /deployments/{id}`: changes a deployment.

use axum::{extract::State, http::StatusCode, routing::patch};
use common::{
    App, Error, Result,
    http::{Body, Path, Route, Sent, extract::Id},
    job_variables,
    model::{BlockDocumentId, ConcurrencyLimitId, Deployment, DeploymentId, Object, deployment::ConcurrencyOptions},
    patch::sent,
    schema_tools::validation::{Invalid, validate_incomplete},
    store::{
        CommitError, TableAccess, Write, commit::retry_on_conflict, deployments::AutoScheduled, table::Index,
        work_queues::PoolWithQueues,
    },
    workspace_variables::WorkspaceVariables,
};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    limits,
    places::{self, Asked},
    responses,
    schedules::{self, ScheduleUpdate, changes::Changes},
    sent::{parameter_schema, set},
};

/// The contract's `update_deployment`.
pub static ROUTE: Route = Route::patch("update_deployment", "/deployments/{id}", || patch(update))
    .accessing(TableAccess::WRITES.via(&[Index::WaitingOfDeployment]));

#[derive(Debug, Deserialize)]
pub(crate) struct DeploymentUpdate {
    #[serde(default, deserialize_with = "sent")]
    version: Option<Option<String>>,
    #[serde(default, deserialize_with = "sent")]
    description: Option<Option<String>>,
    paused: Option<bool>,
    schedules: Option<Vec<Value>>,
    #[serde(default, deserialize_with = "sent")]
    concurrency_limit: Option<Option<i64>>,
    #[serde(default, deserialize_with = "sent")]
    concurrency_options: Option<Option<ConcurrencyOptions>>,
    #[serde(default, deserialize_with = "sent")]
    global_concurrency_limit_id: Option<Option<ConcurrencyLimitId>>,
    #[serde(default, deserialize_with = "sent")]
    parameters: Option<Option<Object>>,
    #[serde(default, deserialize_with = "parameter_schema")]
    parameter_openapi_schema: Option<Option<Object>>,
    tags: Option<Vec<String>>,
    #[serde(default, deserialize_with = "sent")]
    work_queue_name: Option<Option<String>>,
    #[serde(default, deserialize_with = "sent")]
    work_pool_name: Option<Option<String>>,
    #[serde(default, deserialize_with = "sent")]
    path: Option<Option<String>>,
    job_variables: Option<Object>,
    #[serde(default, deserialize_with = "sent")]
    pull_steps: Option<Option<Vec<Object>>>,
    #[serde(default, deserialize_with = "sent")]
    entrypoint: Option<Option<String>>,
    storage_document_id: Option<BlockDocumentId>,
    infrastructure_document_id: Option<BlockDocumentId>,
    #[serde(default, deserialize_with = "sent")]
    enforce_parameter_schema: Option<Option<bool>>,
}

/// The schedules, each with the contract's defaults.
#[derive(Debug, Deserialize)]
struct Schedules {
    schedules: Vec<ScheduleUpdate>,
}

async fn update(
    State(app): State<App>,
    Path(path): Path<Id<DeploymentId>>,
    Sent(body): Sent<DeploymentUpdate>,
    Body(Schedules { schedules }): Body<Schedules>,
) -> Result<StatusCode> {
    let schedules = body.schedules.is_some().then_some(schedules);
    retry_on_conflict(|| change(&app, path.id, &body, schedules.as_deref())).await?;
    app.store.delete_scheduled_runs(path.id, AutoScheduled::After(app.now())).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn change(
    app: &App,
    id: DeploymentId,
    body: &DeploymentUpdate,
    schedules: Option<&[ScheduleUpdate]>,
) -> Result<(), CommitError> {
    let found = app.store.deployment(id).await?.ok_or_else(responses::no_deployment)?;
    let (changed, beside) = changed(app, &found.record, body, schedules).await?;
    app.store.update_deployment(&found, &changed, beside).await
}

/// Returns the deployment `before` as the update changes it, and what writes its limit.
pub(crate) async fn changed(
    app: &App,
    before: &Deployment,
    body: &DeploymentUpdate,
    schedules: Option<&[ScheduleUpdate]>,
) -> Result<(Deployment, Vec<Write>)> {
    let schedules = Changes::new(&before.schedules, schedules)?;
    let pool_name = body.work_pool_name.as_ref().and_then(Option::as_deref);
    let pool = places::pool(app, pool_name).await?;
    if let (Some(of), Some(variables)) = (&pool, &body.job_variables) {
        job_variables::check_of_change(&of.pool.record.pool.base_job_template, variables)?;
    }
    let parameters = match body.parameters.as_ref().and_then(Option::as_ref) {
        Some(sent) => {
            let hydrated = WorkspaceVariables::new(&app.store).hydrate(sent).await?;
            let refused = |error| Error::BadRequest(format!("Error hydrating deployment parameters: {error}"));
            Some(hydrated.map_err(refused)?)
        }
        None => None,
    };
    body.enforce_schema(before, parameters.as_ref())?;
    limits::require(app, body.global_concurrency_limit_id).await?;
    let now = app.now();
    let mut changed = before.clone();
    changed.updated = now;
    body.apply_to(&mut changed, parameters)?;
    schedules.apply_to(&mut changed, now);
    schedules::require_unique_slugs(&changed)?;
    body.place(app, pool.as_ref()).await?.put(&mut changed);
    let beside = match body.concurrency_limit {
        Some(wanted) => app.store.limit_deployment(&mut changed, wanted, now).await?,
        None => Vec::new(),
    };
    Ok((changed, beside))
}

impl DeploymentUpdate {
    /// Says whether schedules were sent.
    pub(crate) fn has_schedules(&self) -> bool {
        self.schedules.is_some()
    }

    /// Says whether a limit was sent, of its own or shared.
    pub(crate) fn has_limit(&self) -> bool {
        self.concurrency_limit.is_some() || self.global_concurrency_limit_id.is_some()
    }

    /// Checks that the parameters fit the schema, where that is enforced; some that are required may be missing.
    fn enforce_schema(&self, deployment: &Deployment, parameters: Option<&Value>) -> Result<()> {
        if !self.enforce_parameter_schema.flatten().unwrap_or(deployment.enforce_parameter_schema) {
            return Ok(());
        }
        let sent = self.parameter_openapi_schema.as_ref().and_then(Option::as_ref).filter(|schema| !schema.is_empty());
        let Some(schema) = sent.or(deployment.parameter_openapi_schema.as_ref()) else {
            return Err(Error::Conflict(NO_SCHEMA.into()));
        };
        let fits = match parameters {
            Some(parameters) => validate_incomplete(parameters, schema),
            None => validate_incomplete(&Value::Object(deployment.parameters.clone()), schema),
        };
        fits.map_err(|invalid| match invalid {
            Invalid::Circular => {
                Error::Unprocessable("Invalid schema: Unable to validate schema with circular references.".into())
            }
            Invalid::NotASchema(why) => Error::Unprocessable(format!("Invalid schema: {why}")),
            other => Error::Conflict(format!("Error updating deployment: {other}")),
        })
    }

    /// Puts what was sent over `deployment`, but for its queue, its limit and its schedules.
    fn apply_to(&self, deployment: &mut Deployment, parameters: Option<Value>) -> Result<()> {
        if self.storage_document_id.is_some() || self.infrastructure_document_id.is_some() {
            // No block document is stored yet, so none can be referred to.
            return Err(Error::integrity_conflict());
        }
        match (&self.parameters, parameters) {
            (None, _) => {}
            (Some(_), Some(Value::Object(parameters))) => deployment.parameters = parameters,
            (Some(None), _) => return Err(Error::integrity_conflict()),
            (Some(Some(_)), _) => {
                return Err(Error::Unprocessable("The parameters have to make up an object.".into()));
            }
        }
        common::patch::set(&mut deployment.enforce_parameter_schema, self.enforce_parameter_schema.as_ref())?;
        set(&mut deployment.version, self.version.as_ref());
        set(&mut deployment.description, self.description.as_ref());
        set(&mut deployment.paused, self.paused.as_ref());
        set(&mut deployment.concurrency_options, self.concurrency_options.as_ref());
        set(&mut deployment.concurrency_limit_id, self.global_concurrency_limit_id.as_ref());
        set(&mut deployment.parameter_openapi_schema, self.parameter_openapi_schema.as_ref());
        set(&mut deployment.tags, self.tags.as_ref());
        set(&mut deployment.work_queue_name, self.work_queue_name.as_ref());
        set(&mut deployment.path, self.path.as_ref());
        set(&mut deployment.job_variables, self.job_variables.as_ref());
        set(&mut deployment.pull_steps, self.pull_steps.as_ref());
        set(&mut deployment.entrypoint, self.entrypoint.as_ref());
        Ok(())
    }

    /// Returns the queue that is asked for, made if it is not there; a null for the pool takes the queue away.
    async fn place(&self, app: &App, pool: Option<&PoolWithQueues>) -> Result<Asked> {
        if self.work_pool_name == Some(None) {
            return Ok(Asked::None);
        }
        places::find_or_make(app, pool, self.work_queue_name.as_ref().and_then(Option::as_deref)).await
    }
}

/// What is answered where parameters are held against a schema that isn't there.
pub(crate) const NO_SCHEMA: &str = "Error updating deployment: Cannot update parameters because parameter schema \
                                    enforcement is enabled and the deployment does not have a valid parameter schema.";
