//! Making flow runs, of a flow or of a deployment, each together with its first state.

use serde::Deserialize;
use serde_json::Value;

use domain::{
    model::{Automation, CreatedBy, Deployment, Flow, FlowRun, Object, State},
    orchestration::{Client, policy::flow_policy},
};
use error::{Error, Result};
use store::{CommitError, Write, commit::retry_on_conflict, flow_runs::KeyHolder, table};

use crate::{App, transitions};

/// A flow run to be made, and the state that it begins in.
///
/// The ids of both stay the same however often the making is tried.
#[derive(Clone, Debug)]
pub struct NewFlowRun {
    /// The run, without a state.
    pub run: FlowRun,
    /// Its first state.
    pub state: State,
}

/// What became of the making of a flow run.
#[derive(Clone, Debug)]
pub struct Made {
    /// The run.
    pub run: FlowRun,
    /// Whether it is new; otherwise it had the idempotency key before.
    pub is_new: bool,
}

impl NewFlowRun {
    /// Returns the idempotency key, unless it is empty, which to Prefect is none.
    fn unique_key(&self) -> Option<&str> {
        self.run.idempotency_key.as_deref().filter(|key| !key.is_empty())
    }
}

/// Makes a flow run, or finds the one under its idempotency key.
///
/// # Errors
/// [`Error::Conflict`] if the parent task run is not there, or an empty idempotency key is taken.
pub async fn create(app: &App, new: &NewFlowRun, client: &Client) -> Result<Made> {
    create_with(app, new, client, &[]).await
}

/// Makes a flow run as [`create`] does, and writes `beside` together with it if it is new.
///
/// # Errors
/// Those of [`create`].
pub async fn create_with(app: &App, new: &NewFlowRun, client: &Client, beside: &[Write]) -> Result<Made> {
    retry_on_conflict(|| Box::pin(add(app, new, client.clone(), beside))).await
}

async fn add(app: &App, new: &NewFlowRun, client: Client, beside: &[Write]) -> Result<Made, CommitError> {
    let holder = match new.unique_key() {
        Some(key) => app.store.flow_run_by_key(new.run.flow_id, key).await?,
        None => KeyHolder::Nobody,
    };
    if let KeyHolder::Run(found) = holder {
        // With our id, the write before was carried out, only its answer was lost.
        let is_new = found.id == new.run.id;
        return Ok(Made { run: *found, is_new });
    }
    let (run, mut writes) = Box::pin(enter(app, new, client, &holder)).await?;
    writes.extend_from_slice(beside);
    match app.store.commit(writes).await {
        Ok(()) => Ok(Made { run, is_new: true }),
        Err(refused @ CommitError::ConditionFailed(_)) => match app.store.flow_run(new.run.id).await? {
            Some(found) => Ok(Made { run: found.record, is_new: true }),
            // Prefect never looks for a run under an empty key, and yet keeps it unique.
            None if new.run.idempotency_key.as_deref() == Some("") => Err(Error::integrity_conflict().into()),
            // Another request took the key, or changed the parent task run, between our look and our write.
            None => Err(refused),
        },
        Err(error) => Err(error),
    }
}

/// Decides the run's first state; returns the run and what writes it.
async fn enter(app: &App, new: &NewFlowRun, client: Client, holder: &KeyHolder) -> Result<(FlowRun, Vec<Write>)> {
    let mut run = new.run.clone();
    if let Some(parent) = run.parent_task_run_id {
        let parent = app.store.task_run(parent).await?.ok_or_else(Error::integrity_conflict)?;
        run.parent_flow_run_id = parent.record.flow_run_id;
    }
    let (run, mut writes) =
        Box::pin(transitions::create(app, run, Some(new.state.clone()), flow_policy(true), client)).await?;
    if let Some(key) = &run.idempotency_key {
        let key = table::unique_flow_run(run.flow_id, key);
        writes.push(match holder {
            KeyHolder::Gone(version) => app.store.take_over(key, run.id, *version)?,
            KeyHolder::Nobody | KeyHolder::Run(_) => app.store.claim(key, run.id)?,
        });
    }
    Ok((run, writes))
}

/// Puts the client's labels over the system's, and both over those of the flow.
pub fn labels_of_flow(flow: &Flow, own: Option<&Object>) -> Object {
    let mut labels = flow.labels.clone().unwrap_or_default();
    labels.insert("prefect.flow.id".into(), Value::String(flow.id.to_string()));
    labels.extend(own.cloned().unwrap_or_default());
    labels
}

/// Puts the client's labels over the system's, and both over those of the deployment.
pub fn labels_of_deployment(deployment: &Deployment, own: Option<&Object>) -> Object {
    let mut labels = deployment.labels.clone();
    labels.insert("prefect.flow.id".into(), Value::String(deployment.flow_id.to_string()));
    labels.insert("prefect.deployment.id".into(), Value::String(deployment.id.to_string()));
    labels.extend(own.cloned().unwrap_or_default());
    labels
}

/// Returns what a run remembers of the automation that makes it.
pub fn created_by_automation(automation: &Automation) -> Option<CreatedBy> {
    let (id, name) = (Some(automation.id.0), automation.name.clone());
    (!name.is_empty()).then(|| CreatedBy { id, r#type: Some("AUTOMATION".into()), display_value: Some(name) })
}

/// The automation that makes a request, if one does: the headers that only automations send.
#[derive(Debug, Deserialize)]
pub struct CreatingAutomation {
    #[serde(rename = "prefect-automation-id")]
    id: Option<uuid::Uuid>,
    #[serde(rename = "prefect-automation-name")]
    name: Option<String>,
}

impl CreatingAutomation {
    /// Returns what a run remembers of the automation; its name is sent in Base64.
    pub fn created_by(&self) -> Option<CreatedBy> {
        use base64::{Engine, prelude::BASE64_STANDARD};
        let (id, name) = (self.id?, self.name.as_ref()?);
        let name = String::from_utf8(BASE64_STANDARD.decode(name).ok()?).ok()?;
        let is_named = !name.is_empty();
        is_named.then(|| CreatedBy { id: Some(id), r#type: Some("AUTOMATION".into()), display_value: Some(name) })
    }
}
