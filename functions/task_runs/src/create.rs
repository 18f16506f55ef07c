//! `POST /task_runs/`: makes a task run, or finds the one at its place in the flow run.

use axum::{extract::State, http::StatusCode, routing::post};
use common::{
    App, Error, Result,
    http::{Body, Json, Route, extract::FromClient},
    model::{
        self, FlowRunId, Object, StateCreate, StateType, TaskRun, TaskRunId, TaskRunPolicy, Timestamp,
        name::random_name, task_run::RunInput,
    },
    task_run_creation::{self, NewTaskRun},
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
    let made = task_run_creation::create(&app, &new, &client).await?;
    let status = if made.is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(made.run.with_estimates(app.now()))))
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
        let (state, now) = (run.id.state_id(1), run.created);
        let state = match self.state {
            Some(proposed) => proposed.into_state(state, now),
            None => model::State::new(state, StateType::Pending, now),
        };
        Ok(NewTaskRun { run, state })
    }
}
