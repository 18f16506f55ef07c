//! `POST /flow_runs/`: makes a flow run, or finds the one under its idempotency key.

use axum::{Json, extract::State, http::StatusCode, routing::post};
use common::{
    Api, Error, Result,
    http::{Body, Headers, Route, extract::FromClient},
    model::{
        BlockDocumentId, CreatedBy, DeploymentId, Flow, FlowId, FlowRun, FlowRunId, FlowRunPolicy, Object, StateCreate,
        StateId, StateType, TaskRunId, Timestamp, WorkPool, WorkQueue, name::random_name,
    },
    orchestration::{Client, policy::flow_policy},
    store::{CommitError, Write, commit::until_uncontended, flow_runs::KeyHolder, table},
    transitions,
};
use serde::Deserialize;
use serde_json::Value;

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

impl FlowRunCreate {
    /// Returns the idempotency key, unless it is empty, which to upstream is none.
    fn unique_key(&self) -> Option<&str> {
        self.idempotency_key.as_deref().filter(|key| !key.is_empty())
    }
}

async fn create(
    State(api): State<Api>,
    Headers(automation): Headers<CreatingAutomation>,
    FromClient(client): FromClient,
    Body(body): Body<FlowRunCreate>,
) -> Result<(StatusCode, Json<FlowRun>)> {
    if body.infrastructure_document_id.is_some() {
        // No block document is stored yet, so none can be referred to.
        return Err(Error::integrity_conflict());
    }
    let new = NewFlowRun {
        place: waiting_place(&api, &body).await?,
        body,
        id: FlowRunId::new(),
        state: StateId::new(),
        created_by: automation.created_by(),
    };
    let (run, status) = until_uncontended(|| Box::pin(add(&api, &new, client.clone()))).await?;
    Ok((status, Json(run.with_estimates(api.now()))))
}

/// What the client asks for, and the ids that it gets however often its making is tried.
struct NewFlowRun {
    body: FlowRunCreate,
    id: FlowRunId,
    state: StateId,
    created_by: Option<CreatedBy>,
    place: Option<(WorkPool, WorkQueue)>,
}

/// Finds the pool and the queue that the run is to wait in, which is the pool's default one if none is named.
async fn waiting_place(api: &Api, body: &FlowRunCreate) -> Result<Option<(WorkPool, WorkQueue)>> {
    let Some(pool) = body.work_pool_name.as_deref().filter(|name| !name.is_empty()) else { return Ok(None) };
    let queue = body.work_queue_name.as_deref().filter(|name| !name.is_empty());
    let nowhere = || {
        Error::NotFound(match queue {
            Some(queue) => format!("Work pool queue '{pool}/{queue}' not found."),
            None => format!("Work pool \"{pool}\" not found."),
        })
    };
    let found = api.store.work_pool_with_queues(pool).await?.ok_or_else(nowhere)?;
    let default = found.pool.record.pool.default_queue_id;
    let is_meant = |candidate: &WorkQueue| match queue {
        Some(name) => candidate.name == name,
        None => Some(candidate.id) == default,
    };
    let place = found.queues.into_iter().map(|found| found.record.queue).find(is_meant).ok_or_else(nowhere)?;
    Ok(Some((found.pool.record.pool, place)))
}

/// Adds the run together with its first state, or finds the one under its idempotency key.
async fn add(api: &Api, new: &NewFlowRun, client: Client) -> Result<(FlowRun, StatusCode), CommitError> {
    let holder = match new.body.unique_key() {
        Some(key) => api.store.flow_run_by_key(new.body.flow_id, key).await?,
        None => KeyHolder::Nobody,
    };
    if let KeyHolder::Run(found) = holder {
        // With our id, the write before was carried out, only its answer was lost.
        let status = if found.id == new.id { StatusCode::CREATED } else { StatusCode::OK };
        return Ok((*found, status));
    }
    let (run, writes) = Box::pin(enter(api, new, client, &holder)).await?;
    match api.store.commit(writes).await {
        Ok(()) => Ok((run, StatusCode::CREATED)),
        Err(refused @ CommitError::Refused(_)) => match api.store.flow_run(new.id).await? {
            Some(found) => Ok((found.record, StatusCode::CREATED)),
            // Upstream never looks for a run under an empty key, and yet keeps it unique.
            None if new.body.idempotency_key.as_deref() == Some("") => Err(Error::integrity_conflict().into()),
            // Another request took the key, or changed the parent task run, between our look and our write.
            None => Err(refused),
        },
        Err(error) => Err(error),
    }
}

/// Decides the run's first state; returns the run and what writes it.
async fn enter(api: &Api, new: &NewFlowRun, client: Client, holder: &KeyHolder) -> Result<(FlowRun, Vec<Write>)> {
    let body = &new.body;
    let flow = api.store.flow(body.flow_id).await?.ok_or_else(Error::integrity_conflict)?;
    let now = api.now();
    let mut run = new_run(new, &flow.record, now);
    if let Some(parent) = body.parent_task_run_id {
        let parent = api.store.task_run(parent).await?.ok_or_else(Error::integrity_conflict)?;
        run.parent_flow_run_id = parent.record.flow_run_id;
    }
    let state = match &body.state {
        Some(state) => state.clone().into_state(new.state, now),
        None => common::model::State::new(new.state, StateType::Pending, now),
    };
    let (run, mut writes) = Box::pin(transitions::create(api, run, Some(state), flow_policy(true), client)).await?;
    if let Some(key) = &body.idempotency_key {
        let key = table::unique_flow_run(body.flow_id, key);
        writes.push(match holder {
            KeyHolder::Gone(version) => api.store.take_over(key, run.id, *version)?,
            KeyHolder::Nobody | KeyHolder::Run(_) => api.store.claim(key, run.id)?,
        });
    }
    Ok((run, writes))
}

fn new_run(new: &NewFlowRun, flow: &Flow, now: Timestamp) -> FlowRun {
    let body = &new.body;
    let name = body.name.clone().unwrap_or_else(random_name);
    let mut run = FlowRun::new(new.id, body.flow_id, name, now);
    run.flow_version.clone_from(&body.flow_version);
    run.parameters.clone_from(&body.parameters);
    run.context.clone_from(&body.context);
    run.parent_task_run_id = body.parent_task_run_id;
    run.empirical_policy = body.empirical_policy.clone();
    run.tags.clone_from(&body.tags);
    run.labels = labels(flow, body.labels.as_ref());
    run.idempotency_key.clone_from(&body.idempotency_key);
    run.deployment_id = body.deployment_id;
    run.work_queue_name.clone_from(&body.work_queue_name);
    if let Some((pool, queue)) = &new.place {
        run.work_pool_id = Some(pool.id);
        run.work_pool_name = Some(pool.name.clone());
        run.work_queue_id = Some(queue.id);
        run.work_queue_name = Some(queue.name.clone());
    }
    run.created_by.clone_from(&new.created_by);
    // Upstream inserts a run with an idempotency key without the default of this column.
    if body.job_variables.is_some() || body.unique_key().is_some() {
        run.job_variables.clone_from(&body.job_variables);
    }
    run
}

/// Puts the client's labels over the system's, and both over the flow's.
fn labels(flow: &Flow, own: Option<&Object>) -> Object {
    let mut labels = flow.labels.clone().unwrap_or_default();
    labels.insert("prefect.flow.id".into(), Value::String(flow.id.to_string()));
    labels.extend(own.cloned().unwrap_or_default());
    labels
}

/// The automation that makes the request, if one does.
#[derive(Debug, Deserialize)]
struct CreatingAutomation {
    #[serde(rename = "prefect-automation-id")]
    id: Option<uuid::Uuid>,
    #[serde(rename = "prefect-automation-name")]
    name: Option<String>,
}

impl CreatingAutomation {
    /// Returns what the run remembers of the automation; its name is sent in Base64.
    fn created_by(&self) -> Option<CreatedBy> {
        use base64::{Engine, prelude::BASE64_STANDARD};
        let (id, name) = (self.id?, self.name.as_ref()?);
        let name = String::from_utf8(BASE64_STANDARD.decode(name).ok()?).ok()?;
        let is_named = !name.is_empty();
        is_named.then(|| CreatedBy { id: Some(id), r#type: Some("AUTOMATION".into()), display_value: Some(name) })
    }
}
