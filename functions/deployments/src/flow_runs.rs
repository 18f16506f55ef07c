//! Flow runs of a deployment, as they are made by one operation and by its bulk form.

use common::{
    App, Error, Result,
    blocks::answers,
    flow_run_creation::{CreatingAutomation, NewFlowRun, labels_of_deployment},
    job_variables,
    model::{
        self, BlockDocumentId, Deployment, DeploymentId, FlowRun, FlowRunId, FlowRunPolicy, Object, StateCreate,
        StateId, StateType, TaskRunId, WorkPool, name::random_name,
    },
    schema_tools::validation::{Invalid, validate},
    work_queue_placement::{MissingQueue, QueueInPool, assignment_of, queue_of_pool},
    workspace_variables::WorkspaceVariables,
};
use serde::Deserialize;
use serde_json::Value;

/// A flow run to be made of a deployment (contract schema `DeploymentFlowRunCreate`).
#[derive(Debug, Deserialize)]
pub(crate) struct FlowRunOfDeployment {
    state: Option<StateCreate>,
    name: Option<String>,
    parameters: Object,
    enforce_parameter_schema: Option<bool>,
    context: Object,
    infrastructure_document_id: Option<BlockDocumentId>,
    empirical_policy: FlowRunPolicy,
    tags: Vec<String>,
    idempotency_key: Option<String>,
    labels: Option<Object>,
    parent_task_run_id: Option<TaskRunId>,
    work_queue_name: Option<String>,
    job_variables: Option<Object>,
}

/// A deployment with the queue and the pool that its runs wait in.
pub(crate) struct Source {
    deployment: Deployment,
    queue: Option<QueueInPool>,
    pool: Option<WorkPool>,
}

/// Why a flow run can't be made.
#[derive(Debug)]
pub(crate) enum Refusal {
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

impl Source {
    /// Reads the deployment `id` with what its runs depend on.
    ///
    /// # Errors
    /// [`Error::NotFound`] without such a deployment.
    pub(crate) async fn read(app: &App, id: DeploymentId) -> Result<Self> {
        let deployment = app.store.read_one::<Deployment>(id).await?.record;
        let (queue, pool) = assignment_of(app, &deployment).await?;
        Ok(Self { deployment, queue, pool })
    }

    /// Returns the flow run that `asked` describes; its queue is made if it isn't there.
    pub(crate) async fn new_run(
        &self,
        app: &App,
        asked: &FlowRunOfDeployment,
        automation: &CreatingAutomation,
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
        let state_id = StateId::new();
        let due_now = || {
            let mut state = model::State::new(state_id, StateType::Scheduled, now);
            state.state_details.scheduled_time = Some(now);
            state
        };
        let state = asked.state.clone().map_or_else(due_now, |state| state.into_state(state_id, now));
        let name = asked.name.clone().unwrap_or_else(random_name);
        let mut run = FlowRun::new(FlowRunId::new(), deployment.flow_id, name, now);
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
        run.created_by = automation.created_by();
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
