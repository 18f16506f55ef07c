//! Making flow runs, of a flow or of a deployment, each together with its first state.

use serde::Deserialize;
use serde_json::Value;

use domain::{
    model::{Automation, CreatedBy, Deployment, Flow, FlowRun, FlowRunId, Object, State},
    orchestration::{Client, policy::flow_policy},
};
use error::{Error, Result};
use store::{CommitError, Write, commit::retry_on_conflict, flow_runs::KeyHolder, table};

use crate::{App, transitions};

/// A flow run to be made, and the state that it begins in.
///
/// The ids of both stay the same however often the making is tried, unless another request has claimed its idempotency key
/// and has not made a run yet: then it has the claim's id.
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

    /// Returns the same run under the id that its idempotency key was claimed for.
    fn under(&self, id: FlowRunId) -> Self {
        let mut same = self.clone();
        (same.run.id, same.state.id) = (id, id.state_id(1));
        same
    }

    /// Says that `found` is there, and whether it is this one, by the moment in which both were asked for.
    fn made(&self, found: FlowRun) -> Made {
        Made { is_new: found.created == self.run.created, run: found }
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
        Some(key) => app.store.flow_run_by_key(new.run.flow_id, key, app.now()).await?,
        None => KeyHolder::Nobody,
    };
    let promised = match holder {
        // With our time, the write before was carried out, only its answer was lost.
        KeyHolder::Run(found) => return Ok(new.made(*found)),
        KeyHolder::Promised(id, _) => new.under(id),
        KeyHolder::Nobody | KeyHolder::Gone(_) => new.clone(),
    };
    match Box::pin(write(app, &promised, client, &holder, beside)).await {
        Ok(run) => Ok(Made { run, is_new: true }),
        Err(refused @ CommitError::ConditionFailed(_)) => match app.store.flow_run(promised.run.id).await? {
            Some(found) => Ok(new.made(found.record)),
            // Prefect never looks for a run under an empty key, and yet keeps it unique.
            None if new.run.idempotency_key.as_deref() == Some("") => Err(Error::integrity_conflict().into()),
            // Another request took the key, or changed the parent task run, between our look and our write.
            None => Err(refused),
        },
        Err(error) => Err(error),
    }
}

/// Decides the run's first state and writes the run with its claim; returns it.
async fn write(
    app: &App,
    new: &NewFlowRun,
    client: Client,
    holder: &KeyHolder,
    beside: &[Write],
) -> Result<FlowRun, CommitError> {
    let (run, mut writes) = Box::pin(enter(app, new, client)).await?;
    writes.extend_from_slice(beside);
    if let Some(key) = &run.idempotency_key {
        let is_alone = writes.len() == 1 && new.unique_key().is_some() && app.store.are_transactions_dear();
        let key = table::unique_flow_run(run.flow_id, key);
        match holder {
            KeyHolder::Gone(version) | KeyHolder::Promised(_, version) => {
                writes.push(app.store.take_over(key, run.id, *version)?);
            }
            KeyHolder::Nobody | KeyHolder::Run(_) if is_alone => {
                app.store.commit(vec![app.store.claim_ahead(key, run.id, app.now())?]).await?;
            }
            KeyHolder::Nobody | KeyHolder::Run(_) => writes.push(app.store.claim(key, run.id)?),
        }
    }
    app.store.commit(writes).await?;
    Ok(run)
}

/// Decides the run's first state; returns the run and what writes it.
async fn enter(app: &App, new: &NewFlowRun, client: Client) -> Result<(FlowRun, Vec<Write>)> {
    let mut run = new.run.clone();
    if let Some(parent) = run.parent_task_run_id {
        let parent = app.store.task_run(parent).await?.ok_or_else(Error::integrity_conflict)?;
        run.parent_flow_run_id = parent.record.flow_run_id;
    }
    Box::pin(transitions::create(app, run, Some(new.state.clone()), flow_policy(true), client)).await
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
