//! `POST /task_runs/paginate`: reads a numbered page of the task runs that match.

use axum::{extract::State, routing::post};
use common::{
    App, Result,
    filter::{RunFilters, TaskRunSort},
    http::{
        Body, Json, Route,
        page::{Page, PageNumber},
    },
    model::{self, FlowRunId, RunInput, Seconds, StateId, TaskRun, TaskRunId, TaskRunPolicy, Timestamp},
    store::task_run_query,
};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// The contract's `paginate_task_runs`.
pub static ROUTE: Route = Route::post("paginate_task_runs", "/task_runs/paginate", || post(paginate))
    .accessing(task_run_query::FILTER.and(task_run_query::COUNT));

#[derive(Debug, Deserialize)]
struct TaskRunQuery {
    #[serde(flatten)]
    filters: RunFilters,
    sort: TaskRunSort,
    #[serde(flatten)]
    page: PageNumber,
}

/// What a page tells of a task run (contract schema `TaskRunResponse`), which is less than every other answer does.
#[derive(Debug, Serialize)]
struct TaskRunResponse {
    id: TaskRunId,
    created: Timestamp,
    updated: Timestamp,
    name: String,
    flow_run_id: Option<FlowRunId>,
    task_key: String,
    state_id: Option<StateId>,
    state: Option<model::State>,
    task_version: Option<String>,
    task_inputs: IndexMap<String, Vec<RunInput>>,
    empirical_policy: TaskRunPolicy,
    tags: Vec<String>,
    start_time: Option<Timestamp>,
    end_time: Option<Timestamp>,
    total_run_time: Seconds,
    estimated_run_time: Seconds,
    estimated_start_time_delta: Seconds,
}

async fn paginate(State(app): State<App>, Body(query): Body<TaskRunQuery>) -> Result<Json<Page<TaskRunResponse>>> {
    let (runs, count) = tokio::try_join!(
        app.store.task_runs(&query.filters, query.sort, query.page.window()),
        app.store.count_task_runs(&query.filters),
    )?;
    let now = app.now();
    let runs = runs.into_iter().map(|run| TaskRunResponse::at(run, now)).collect();
    Ok(Json(query.page.of(runs, count)))
}

impl TaskRunResponse {
    fn at(run: TaskRun, now: Timestamp) -> Self {
        Self {
            estimated_run_time: run.estimated_run_time(now),
            estimated_start_time_delta: run.estimated_start_time_delta(now),
            id: run.id,
            created: run.created,
            updated: run.updated,
            name: run.name,
            flow_run_id: run.flow_run_id,
            task_key: run.task_key,
            state_id: run.state_id,
            state: run.state,
            task_version: run.task_version,
            task_inputs: run.task_inputs,
            empirical_policy: run.empirical_policy,
            tags: run.tags,
            start_time: run.start_time,
            end_time: run.end_time,
            total_run_time: run.total_run_time,
        }
    }
}
