//! `POST /ui/task_runs/count`: counts the task runs that match by the type of their state.

use axum::{extract::State, routing::post};
use common::{
    App, Result,
    filter::RunFilters,
    http::{Body, Json, Route},
    model::{RunSummary, StateType},
    store::task_run_query,
};
use serde::Serialize;

/// The contract's `read_task_run_counts_by_state`.
pub static ROUTE: Route = Route::post("read_task_run_counts_by_state", "/ui/task_runs/count", || post(count))
    .accessing(task_run_query::SUMMARIES);

/// How many runs are in states of each type (contract schema `CountByState`).
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "UPPERCASE")]
struct CountByState {
    completed: u64,
    pending: u64,
    running: u64,
    failed: u64,
    cancelled: u64,
    crashed: u64,
    paused: u64,
    cancelling: u64,
    scheduled: u64,
}

async fn count(State(app): State<App>, Body(filters): Body<RunFilters>) -> Result<Json<CountByState>> {
    let mut counts = CountByState::default();
    app.store.task_run_summaries(&filters, |run| counts.add(run)).await?;
    Ok(Json(counts))
}

impl CountByState {
    /// Counts a run; one without a state is in none to be counted under.
    fn add(&mut self, run: &RunSummary) {
        let count = match run.state_type {
            Some(StateType::Completed) => &mut self.completed,
            Some(StateType::Pending) => &mut self.pending,
            Some(StateType::Running) => &mut self.running,
            Some(StateType::Failed) => &mut self.failed,
            Some(StateType::Cancelled) => &mut self.cancelled,
            Some(StateType::Crashed) => &mut self.crashed,
            Some(StateType::Paused) => &mut self.paused,
            Some(StateType::Cancelling) => &mut self.cancelling,
            Some(StateType::Scheduled) => &mut self.scheduled,
            None => return,
        };
        *count += 1;
    }
}
