//! `POST /task_runs/`: makes a task run, or finds the one at its place in the flow run.

use axum::{Json, extract::State, http::StatusCode, routing::post};
use common::{
    App, Error, Result,
    http::{Body, Route, extract::FromClient},
    model::{
        FlowRunId, Object, StateCreate, StateId, StateType, TaskRun, TaskRunId, TaskRunPolicy, Timestamp,
        name::random_name, task_run::RunInput,
    },
    orchestration::{Client, policy::task_policy},
    store::{CommitError, Write, commit::retry_on_conflict, table},
    transitions,
};
use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::Value;

/// The contract's `create_task_run`.
pub static ROUTE: Route = Route::post("create_task_run", "/task_runs/", || post(create));

#[derive(Debug, Deserialize)]
struct TaskRunCreate {
    id: Option<TaskRunId>,
    state: Option<StateCreate>,
    name: Option<String>,
    flow_run_id: Option<FlowRunId>,
    task_key: String,
    dynamic_key: String,
    cache_key: Option<String>,
    cache_expiration: Option<Timestamp>,
    task_version: Option<String>,
    empirical_policy: Option<TaskRunPolicy>,
    tags: Vec<String>,
    labels: Option<Object>,
    task_inputs: IndexMap<String, Vec<RunInput>>,
}

async fn create(
    State(app): State<App>,
    FromClient(client): FromClient,
    Body(body): Body<TaskRunCreate>,
) -> Result<(StatusCode, Json<TaskRun>)> {
    let new = body.into_task_run(&app).await?;
    let state = StateId::new();
    let (run, status) = retry_on_conflict(|| Box::pin(add(&app, &new, state, client.clone()))).await?;
    Ok((status, Json(run.with_estimates(app.now()))))
}

/// Adds the run together with its first state, or finds the one that has its place.
async fn add(
    app: &App,
    new: &NewTaskRun,
    state: StateId,
    client: Client,
) -> Result<(TaskRun, StatusCode), CommitError> {
    let TaskRun { id, created, flow_run_id, task_key, dynamic_key, .. } = &new.run;
    let state = match &new.state {
        Some(proposed) => proposed.clone().into_state(state, *created),
        None => common::model::State::new(state, StateType::Pending, *created),
    };
    let policy = task_policy(&state, true);
    let (run, entering) = Box::pin(transitions::create(app, new.run.clone(), Some(state), policy, client)).await?;
    let mut writes: Vec<Write> =
        vec![app.store.claim(table::unique_task_run(*flow_run_id, task_key, dynamic_key), *id)?];
    writes.extend(entering);
    let refused = match app.store.commit(writes).await {
        Ok(()) => return Ok((run, StatusCode::CREATED)),
        Err(refused @ CommitError::ConditionFailed(_)) => refused,
        Err(error) => return Err(error),
    };
    match app.store.task_run_by_key(*flow_run_id, task_key, dynamic_key).await? {
        // The write before was carried out, only its answer was lost.
        Some(found) if (found.record.id, found.record.created) == (*id, *created) => {
            Ok((found.record, StatusCode::CREATED))
        }
        Some(found) => Ok((found.record, StatusCode::OK)),
        None if app.store.task_run(*id).await?.is_some() => Err(Error::integrity_conflict().into()),
        None => Err(refused),
    }
}

/// A task run that has not entered its first state, and the state that the client proposes as that.
struct NewTaskRun {
    run: TaskRun,
    state: Option<StateCreate>,
}

impl TaskRunCreate {
    /// Makes the run, which takes over the labels of its flow run.
    async fn into_task_run(self, app: &App) -> Result<NewTaskRun> {
        let mut labels = Object::new();
        if let Some(id) = self.flow_run_id {
            let flow_run = app.store.flow_run(id).await?.ok_or_else(Error::integrity_conflict)?;
            labels = flow_run.record.labels;
            labels.insert("prefect.flow-run.id".into(), Value::String(id.to_string()));
        }
        labels.extend(self.labels.unwrap_or_default());
        let (id, name) = (self.id.unwrap_or_default(), self.name.unwrap_or_else(random_name));
        let run = TaskRun {
            flow_run_id: self.flow_run_id,
            cache_key: self.cache_key,
            cache_expiration: self.cache_expiration,
            task_version: self.task_version,
            empirical_policy: self.empirical_policy.unwrap_or_default(),
            tags: self.tags,
            labels,
            task_inputs: self.task_inputs,
            ..TaskRun::new(id, self.task_key, self.dynamic_key, name, app.now())
        };
        Ok(NewTaskRun { run, state: self.state })
    }
}
