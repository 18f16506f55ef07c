//! `POST /flow_runs/`: makes a flow run, or finds the one under its idempotency key.

use axum::{Json, extract::State, http::StatusCode, routing::post};
use common::{
    Api, Error, Result,
    http::{Body, Headers, Route, extract::FromClient},
    model::{
        BlockDocumentId, CreatedBy, DeploymentId, Flow, FlowId, FlowRun, FlowRunId, FlowRunPolicy, Object, StateCreate,
        StateId, StateType, TaskRunId, Timestamp, name::random_name,
    },
    orchestration::{Client, policy::flow_policy},
    store::{CommitError, Write, table},
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
    if let Some(pool) = &body.work_pool_name {
        // No work pool or queue is stored yet.
        return Err(Error::NotFound(match &body.work_queue_name {
            Some(queue) => format!("Work pool queue '{pool}/{queue}' not found."),
            None => format!("Work pool \"{pool}\" not found."),
        }));
    }
    if body.infrastructure_document_id.is_some() {
        // No block document is stored yet, so none can be referred to.
        return Err(Error::integrity_conflict());
    }
    loop {
        if let Some(key) = body.unique_key()
            && let Some(run) = api.store.flow_run_by_key(body.flow_id, key).await?
        {
            return Ok((StatusCode::OK, Json(run.record.with_estimates(api.now()))));
        }
        let (run, writes) = Box::pin(enter(&api, &body, automation.created_by(), client.clone())).await?;
        match api.store.commit(writes).await {
            Ok(()) => return Ok((StatusCode::CREATED, Json(run.with_estimates(api.now())))),
            // Upstream never looks for a run under an empty key, and yet keeps it unique.
            Err(CommitError::Refused(_)) if body.idempotency_key.as_deref() == Some("") => {
                return Err(Error::integrity_conflict());
            }
            // Another request took the key, or changed the parent task run, between our look and our write.
            Err(CommitError::Refused(_) | CommitError::Contended) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Decides the run's first state; returns the run and what writes it.
async fn enter(
    api: &Api,
    body: &FlowRunCreate,
    created_by: Option<CreatedBy>,
    client: Client,
) -> Result<(FlowRun, Vec<Write>)> {
    let flow = api.store.flow(body.flow_id).await?.ok_or_else(Error::integrity_conflict)?;
    let now = api.now();
    let mut run = new_run(body, &flow.record, created_by, now);
    if let Some(parent) = body.parent_task_run_id {
        let parent = api.store.task_run(parent).await?.ok_or_else(Error::integrity_conflict)?;
        run.parent_flow_run_id = parent.record.flow_run_id;
    }
    let state = match &body.state {
        Some(state) => state.clone().into_state(StateId::new(), now),
        None => common::model::State::new(StateId::new(), StateType::Pending, now),
    };
    let (run, mut writes) = Box::pin(transitions::create(api, run, Some(state), flow_policy(true), client)).await?;
    if let Some(key) = &body.idempotency_key {
        writes.push(api.store.claim(table::unique_flow_run(body.flow_id, key), run.id)?);
    }
    Ok((run, writes))
}

fn new_run(body: &FlowRunCreate, flow: &Flow, created_by: Option<CreatedBy>, now: Timestamp) -> FlowRun {
    let name = body.name.clone().unwrap_or_else(random_name);
    let mut run = FlowRun::new(FlowRunId::new(), body.flow_id, name, now);
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
    run.created_by = created_by;
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
