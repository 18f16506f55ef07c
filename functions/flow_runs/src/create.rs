//! `POST /flow_runs/`: makes a flow run, or finds the one under its idempotency key.

use axum::{extract::State, http::StatusCode, routing::post};
use common::{
    App, Error, Result,
    blocks::answers,
    flow_run_creation::{self, CreatingAutomation, NewFlowRun, labels_of_deployment, labels_of_flow},
    http::{Body, Headers, Json, Route, extract::FromClient},
    model::{
        self, BlockDocumentId, DeploymentId, FlowId, FlowRun, FlowRunId, FlowRunPolicy, Object, StateCreate, StateType,
        TaskRunId, name::random_name,
    },
    work_queue_placement::{MissingQueue, queue_of_pool},
};
use serde::Deserialize;

/// The contract's `create_flow_run`.
pub static ROUTE: Route = Route::post("create_flow_run", "/flow_runs/", || post(create));

#[derive(Debug, Deserialize)]
struct FlowRunCreate {
    state: Option<StateCreate>,
    name: Option<String>,
    flow_id: FlowId,
    flow_version: Option<String>,
    parameters: Object,
    context: Object,
    parent_task_run_id: Option<TaskRunId>,
    infrastructure_document_id: Option<BlockDocumentId>,
    empirical_policy: FlowRunPolicy,
    tags: Vec<String>,
    labels: Option<Object>,
    idempotency_key: Option<String>,
    work_pool_name: Option<String>,
    work_queue_name: Option<String>,
    job_variables: Option<Object>,
    deployment_id: Option<DeploymentId>,
}

async fn create(
    State(app): State<App>,
    Headers(automation): Headers<CreatingAutomation>,
    FromClient(client): FromClient,
    Body(body): Body<FlowRunCreate>,
) -> Result<(StatusCode, Json<FlowRun>)> {
    let new = new_run(&app, body, &automation).await?;
    let made = flow_run_creation::create(&app, &new, &client).await?;
    let status = if made.is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(made.run.with_estimates(app.now()))))
}

async fn new_run(app: &App, body: FlowRunCreate, automation: &CreatingAutomation) -> Result<NewFlowRun> {
    let queue_name = body.work_queue_name.as_deref().filter(|name| !name.is_empty());
    let queue = match body.work_pool_name.as_deref().filter(|name| !name.is_empty()) {
        Some(pool) => queue_of_pool(app, pool, queue_name, MissingQueue::Refused).await?,
        None => None,
    };
    answers::require(&app.store, body.infrastructure_document_id).await?;
    let flow = app.store.flow(body.flow_id).await?.ok_or_else(Error::integrity_conflict)?.record;
    let deployment = match body.deployment_id {
        Some(id) => app.store.deployment(id).await?,
        None => None,
    };
    let now = app.now();
    let id = FlowRunId::new();
    let state_id = id.state_id(1);
    let state = match body.state {
        Some(state) => state.into_state(state_id, now),
        None => model::State::new(state_id, StateType::Pending, now),
    };
    // Prefect inserts a run with an idempotency key without the default of this column.
    let keeps_job_variables =
        body.job_variables.is_some() || body.idempotency_key.as_ref().is_some_and(|key| !key.is_empty());
    let mut run = FlowRun::new(id, flow.id, body.name.unwrap_or_else(random_name), now);
    run.labels = match &deployment {
        Some(deployment) => labels_of_deployment(&deployment.record, body.labels.as_ref()),
        None => labels_of_flow(&flow, body.labels.as_ref()),
    };
    run.flow_version = body.flow_version;
    run.parameters = body.parameters;
    run.context = body.context;
    run.parent_task_run_id = body.parent_task_run_id;
    run.empirical_policy = body.empirical_policy;
    run.tags = body.tags;
    run.idempotency_key = body.idempotency_key;
    run.deployment_id = body.deployment_id;
    run.infrastructure_document_id = body.infrastructure_document_id;
    run.work_queue_name = body.work_queue_name;
    run.assign_queue(queue);
    run.created_by = automation.created_by();
    if keeps_job_variables {
        run.job_variables = body.job_variables;
    }
    Ok(NewFlowRun { run, state })
}
