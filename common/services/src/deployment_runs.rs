//! Flow runs of a deployment, as they are made by one operation, by its bulk form, and by automations.

use domain::model::{
    self, BlockDocumentId, CreatedBy, Deployment, DeploymentId, FlowRun, FlowRunId, FlowRunPolicy, Object, StateCreate,
    StateType, TaskRunId, WorkPool, name::random_name,
};
use error::{Error, Result};
use schema_tools::{
    job_variables,
    validation::{Invalid, validate},
};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    App,
    blocks::answers,
    flow_run_creation::{NewFlowRun, labels_of_deployment},
    work_queue_placement::{MissingQueue, QueueInPool, assignment_of, queue_of_pool},
    workspace_variables::WorkspaceVariables,
};

/// What is answered where parameters are held against a schema that isn't there.
pub const NO_SCHEMA: &str = "Error updating deployment: Cannot update parameters because parameter schema \
                                    enforcement is enabled and the deployment does not have a valid parameter schema.";

/// A flow run to be made of a deployment (contract schema `DeploymentFlowRunCreate`).
#[derive(Debug, Default, Deserialize)]
pub struct FlowRunOfDeployment {
    /// Its first state; none for one in which it is due at once.
    pub state: Option<StateCreate>,
    /// The name; none for a random one.
    pub name: Option<String>,
    /// Parameters in the place of those of the deployment.
    pub parameters: Object,
    /// Whether parameters are held against the schema; none for what the deployment says.
    pub enforce_parameter_schema: Option<bool>,
    /// What the run is told besides.
    pub context: Object,
    /// The infrastructure, if it is not that of the deployment.
    pub infrastructure_document_id: Option<BlockDocumentId>,
    /// How it is retried.
    pub empirical_policy: FlowRunPolicy,
    /// Tags besides those of the deployment.
    pub tags: Vec<String>,
    /// The key under which there is one run only.
    pub idempotency_key: Option<String>,
    /// Labels besides those of the deployment.
    pub labels: Option<Object>,
    /// The task run that stands for it in another flow run.
    pub parent_task_run_id: Option<TaskRunId>,
    /// The queue, if it is not that of the deployment.
    pub work_queue_name: Option<String>,
    /// Job variables in the place of those of the deployment.
    pub job_variables: Option<Object>,
}

/// A deployment with the queue and the pool that its runs wait in.
#[derive(Debug)]
pub struct Source {
    deployment: Deployment,
    queue: Option<QueueInPool>,
    pool: Option<WorkPool>,
}

/// Why a flow run can't be made.
#[derive(Debug)]
pub enum Refusal {
    /// Its parameters can't be filled in.
    NotHydrated(String),
    /// Parameters are held against a schema, and there is none.
    NoSchema,
    /// Its parameters don't fit their schema.
    Unfit(Invalid),
    /// It names a queue, and the deployment has no pool.
    NoPool {
        /// The queue.
        queue: String,
    },
    /// Anything else.
    Other(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

impl Refusal {
    /// Returns what the caller is told that asked for the run of the deployment `id`.
    pub fn into_error(self, id: DeploymentId) -> Error {
        match self {
            Self::NotHydrated(why) => Error::BadRequest(format!("Error hydrating flow run parameters: {why}")),
            Self::NoSchema => Error::Conflict(NO_SCHEMA.into()),
            Self::Unfit(Invalid::Circular) => {
                Error::Unprocessable("Invalid schema: Unable to validate schema with circular references.".into())
            }
            Self::Unfit(Invalid::NotASchema(why)) => Error::Unprocessable(format!("Invalid schema: {why}")),
            Self::Unfit(invalid) => Error::Conflict(format!("Error creating flow run: {invalid}")),
            Self::NoPool { queue } => Error::BadRequest(format!(
                "Cannot create flow run in work queue {queue} because deployment {id} is not associated with a work \
                 pool. Please remove work_pool_name and try again."
            )),
            Self::Other(error) => error,
        }
    }
}

impl Source {
    /// Reads the deployment `id` with what its runs depend on.
    ///
    /// # Errors
    /// [`Error::NotFound`] without such a deployment.
    pub async fn read(app: &App, id: DeploymentId) -> Result<Self> {
        let deployment = app.store.read_one::<Deployment>(id).await?.record;
        let (queue, pool) = assignment_of(app, &deployment).await?;
        Ok(Self { deployment, queue, pool })
    }

    /// Returns the flow run that `asked` describes; its queue is made if it isn't there.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn new_run(
        &self,
        app: &App,
        asked: &FlowRunOfDeployment,
        created_by: Option<CreatedBy>,
        variables: &WorkspaceVariables<'_>,
    ) -> Result<NewFlowRun, Refusal> {
        let deployment = &self.deployment;
        let parameters = self.parameters(asked, variables).await?;
        if let Some(pool) = &self.pool {
            let (none, own) = (Object::new(), asked.job_variables.as_ref());
            let template = &pool.base_job_template;
            let (below, own) = (&deployment.job_variables, own.unwrap_or(&none));
            let blocks = answers::with_defaults_of(app, template).await?;
            job_variables::check_of_flow_run(template, &blocks, below, own, variables.allowance())?;
        }
        let queue = self.queue(app, asked.work_queue_name.as_deref().filter(|name| !name.is_empty())).await?;
        let infrastructure = asked.infrastructure_document_id.or(deployment.infrastructure_document_id);
        answers::require(&app.store, infrastructure).await?;
        let now = app.now();
        let id = FlowRunId::new();
        let state_id = id.state_id(1);
        let due_now = || {
            let mut state = model::State::new(state_id, StateType::Scheduled, now);
            state.state_details.scheduled_time = Some(now);
            state
        };
        let state = asked.state.clone().map_or_else(due_now, |state| state.into_state(state_id, now));
        let name = asked.name.clone().unwrap_or_else(random_name);
        let mut run = FlowRun::new(id, deployment.flow_id, name, now);
        run.deployment_id = Some(deployment.id);
        run.infrastructure_document_id = infrastructure;
        run.deployment_version.clone_from(&deployment.version);
        run.parameters = parameters;
        run.context.clone_from(&asked.context);
        run.empirical_policy = asked.empirical_policy.clone();
        run.tags.clone_from(&deployment.tags);
        run.tags.extend(asked.tags.iter().cloned());
        let mut seen = std::collections::HashSet::new();
        run.tags.retain(|tag| seen.insert(tag.clone()));
        run.labels = labels_of_deployment(deployment, asked.labels.as_ref());
        run.idempotency_key.clone_from(&asked.idempotency_key);
        run.parent_task_run_id = asked.parent_task_run_id;
        // Prefect inserts a run with an idempotency key without the default of this column.
        if asked.job_variables.is_some() || asked.idempotency_key.as_ref().is_some_and(|key| !key.is_empty()) {
            run.job_variables.clone_from(&asked.job_variables);
        }
        run.work_queue_name.clone_from(&deployment.work_queue_name);
        run.assign_queue(queue);
        run.created_by = created_by;
        Ok(NewFlowRun { run, state })
    }

    /// Returns the parameters, filled in and held against their schema where that is enforced.
    async fn parameters(
        &self,
        asked: &FlowRunOfDeployment,
        variables: &WorkspaceVariables<'_>,
    ) -> Result<Object, Refusal> {
        let deployment = &self.deployment;
        let mut parameters = deployment.parameters.clone();
        parameters.extend(asked.parameters.clone());
        let hydrated = variables.hydrate(&parameters).await?;
        let parameters = hydrated.map_err(|error| Refusal::NotHydrated(error.to_string()))?;
        if asked.enforce_parameter_schema.unwrap_or(deployment.enforce_parameter_schema) {
            let schema = deployment.parameter_openapi_schema.as_ref().ok_or(Refusal::NoSchema)?;
            validate(&parameters, schema, variables.allowance()).map_err(Error::from)?.map_err(Refusal::Unfit)?;
        }
        match parameters {
            Value::Object(parameters) => Ok(parameters),
            _ => Err(Error::Unprocessable("The parameters have to make up an object.".into()).into()),
        }
    }

    async fn queue(&self, app: &App, name: Option<&str>) -> Result<Option<QueueInPool>, Refusal> {
        let Some(name) = name else { return Ok(self.queue.clone()) };
        match &self.queue {
            Some((_, place)) => Ok(queue_of_pool(app, &place.pool_name, Some(name), MissingQueue::Made).await?),
            None => Err(Refusal::NoPool { queue: name.to_owned() }),
        }
    }
}
