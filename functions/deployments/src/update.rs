//! `PATCH /deployments/{id}`: changes a deployment.

use axum::{extract::State, http::StatusCode, routing::patch};
use common::{
    App, Error, InWords, Result,
    blocks::answers,
    deployment_runs::NO_SCHEMA,
    http::{Path, Route, Sent, extract::Id},
    job_variables,
    model::{BlockDocumentId, ConcurrencyLimitId, Deployment, DeploymentId, Object, deployment::ConcurrencyOptions},
    patch::Patch,
    schema_tools::{
        Allowance,
        validation::{Invalid, validate_incomplete},
    },
    store::{
        deployments::{self, DeploymentChange},
        work_queues::PoolWithQueues,
    },
    void_runs,
    workspace_variables::WorkspaceVariables,
};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use crate::{
    NOT_FOUND, limits,
    queue_assignment::{self, Asked},
    schedules::{self, ScheduleUpdate, changes::Changes},
};

/// The contract's `update_deployment`.
pub static ROUTE: Route =
    Route::patch("update_deployment", "/deployments/{id}", || patch(update)).accessing(deployments::DELETE_VOID_RUNS);

/// What the client sent (contract schema `DeploymentUpdate`).
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct DeploymentUpdate {
    version: Patch<String>,
    description: Patch<String>,
    paused: Patch<bool>,
    schedules: Option<Vec<ScheduleUpdate>>,
    concurrency_limit: Patch<i64>,
    concurrency_options: Patch<ConcurrencyOptions>,
    global_concurrency_limit_id: Patch<ConcurrencyLimitId>,
    parameters: Patch<Object>,
    #[serde(deserialize_with = "parameter_schema")]
    parameter_openapi_schema: Patch<Object>,
    tags: Patch<Vec<String>>,
    work_queue_name: Patch<String>,
    work_pool_name: Patch<String>,
    path: Patch<String>,
    job_variables: Patch<Object>,
    pull_steps: Patch<Vec<Object>>,
    entrypoint: Patch<String>,
    storage_document_id: Patch<BlockDocumentId>,
    infrastructure_document_id: Patch<BlockDocumentId>,
    enforce_parameter_schema: Patch<bool>,
}

async fn update(
    State(app): State<App>,
    Path(path): Path<Id<DeploymentId>>,
    Sent(body): Sent<DeploymentUpdate>,
) -> Result<StatusCode> {
    let change = |before| changed(&app, before, &body);
    let deployment = app.store.update_deployment(path.id, change).await.in_words(NOT_FOUND)?;
    void_runs::after_change(&app, &deployment).await;
    Ok(StatusCode::NO_CONTENT)
}

/// Returns what the update makes of `deployment`.
pub(crate) async fn changed(
    app: &App,
    mut deployment: Deployment,
    body: &DeploymentUpdate,
) -> Result<DeploymentChange> {
    let schedules = Changes::new(&deployment.schedules, body.schedules.as_deref())?;
    let pool = queue_assignment::pool(app, body.work_pool_name.value()).await?;
    let placeholders = WorkspaceVariables::new(&app.store);
    let allowance = placeholders.allowance();
    if let (Some(of), Some(variables)) = (&pool, body.job_variables.value()) {
        job_variables::check_of_change(&of.pool.record.pool.base_job_template, variables, allowance)?;
    }
    let parameters = match body.parameters.value() {
        Some(sent) => {
            let hydrated = placeholders.hydrate(sent).await?;
            let refused = |error| Error::BadRequest(format!("Error hydrating deployment parameters: {error}"));
            Some(hydrated.map_err(refused)?)
        }
        None => None,
    };
    body.enforce_schema(&deployment, parameters.as_ref(), allowance)?;
    limits::require(app, &body.global_concurrency_limit_id).await?;
    let documents = [&body.storage_document_id, &body.infrastructure_document_id];
    answers::require(&app.store, documents.into_iter().filter_map(Patch::value).copied()).await?;
    let now = app.now();
    deployment.updated = now;
    body.apply_to(&mut deployment, parameters)?;
    schedules.apply_to(&mut deployment, now);
    schedules::check(&deployment)?;
    body.queue(app, pool.as_ref()).await?.assign_to(&mut deployment);
    Ok(DeploymentChange { deployment, limit: body.concurrency_limit.clone() })
}

impl DeploymentUpdate {
    /// Says whether a limit was sent, of its own or shared.
    pub(crate) fn has_limit(&self) -> bool {
        self.concurrency_limit.is_sent() || self.global_concurrency_limit_id.is_sent()
    }

    /// Checks that the parameters fit the schema, where that is enforced; some that are required may be missing.
    fn enforce_schema(&self, deployment: &Deployment, parameters: Option<&Value>, allowance: &Allowance) -> Result<()> {
        if !self.enforce_parameter_schema.value().unwrap_or(&deployment.enforce_parameter_schema) {
            return Ok(());
        }
        let Some(schema) = self.parameter_openapi_schema.value().or(deployment.parameter_openapi_schema.as_ref())
        else {
            return Err(Error::Conflict(NO_SCHEMA.into()));
        };
        let fits = match parameters {
            Some(parameters) => validate_incomplete(parameters, schema, allowance),
            None => validate_incomplete(&Value::Object(deployment.parameters.clone()), schema, allowance),
        };
        fits?.map_err(|invalid| match invalid {
            Invalid::Circular => {
                Error::Unprocessable("Invalid schema: Unable to validate schema with circular references.".into())
            }
            Invalid::NotASchema(why) => Error::Unprocessable(format!("Invalid schema: {why}")),
            other => Error::Conflict(format!("Error updating deployment: {other}")),
        })
    }

    /// Puts what was sent over `deployment`, but for its queue, its limit and its schedules.
    fn apply_to(&self, deployment: &mut Deployment, parameters: Option<Value>) -> Result<()> {
        match parameters {
            Some(Value::Object(hydrated)) => deployment.parameters = hydrated,
            Some(_) => return Err(Error::Unprocessable("The parameters have to make up an object.".into())),
            None => self.parameters.set(&mut deployment.parameters)?,
        }
        self.enforce_parameter_schema.set(&mut deployment.enforce_parameter_schema)?;
        self.version.set_or_clear(&mut deployment.version);
        self.description.set_or_clear(&mut deployment.description);
        self.paused.set_unless_null(&mut deployment.paused);
        self.concurrency_options.set_or_clear(&mut deployment.concurrency_options);
        self.global_concurrency_limit_id.set_or_clear(&mut deployment.concurrency_limit_id);
        self.parameter_openapi_schema.set_or_clear(&mut deployment.parameter_openapi_schema);
        self.tags.set_unless_null(&mut deployment.tags);
        self.work_queue_name.set_or_clear(&mut deployment.work_queue_name);
        self.path.set_or_clear(&mut deployment.path);
        self.job_variables.set_unless_null(&mut deployment.job_variables);
        self.pull_steps.set_or_clear(&mut deployment.pull_steps);
        self.entrypoint.set_or_clear(&mut deployment.entrypoint);
        self.storage_document_id.set_or_clear(&mut deployment.storage_document_id);
        self.infrastructure_document_id.set_or_clear(&mut deployment.infrastructure_document_id);
        Ok(())
    }

    /// Returns the queue that is asked for, made if it is not there; a null for the pool takes the queue away.
    async fn queue(&self, app: &App, pool: Option<&PoolWithQueues>) -> Result<Asked> {
        if self.work_pool_name.is_null() {
            return Ok(Asked::None);
        }
        queue_assignment::find_or_make(app, pool, self.work_queue_name.value()).await
    }
}

/// Reads a schema of parameters that was sent; an empty one is that of no parameters.
pub(crate) fn parameter_schema<'de, D: Deserializer<'de>>(field: D) -> Result<Patch<Object>, D::Error> {
    Ok(match Patch::<Object>::deserialize(field)? {
        Patch::Value(schema) if schema.is_empty() => {
            Patch::Value(Object::from_iter([("type".into(), json!("object")), ("properties".into(), json!({}))]))
        }
        sent => sent,
    })
}
