//! `POST /ui/task_runs/dashboard/counts`: counts the task runs that ended well and badly, in intervals of their start time.

use axum::{extract::State, routing::post};
use common::{
    App, Error, Result,
    filter::{RunFilters, TaskRunFilter, WorkQueueFilter},
    http::{Body, Json, Route},
    outcomes::{IntervalOutcomes, Outcomes},
    store::task_run_query,
};
use serde::Deserialize;

/// The contract's `read_dashboard_task_run_counts`.
pub static ROUTE: Route =
    Route::post("read_dashboard_task_run_counts", "/ui/task_runs/dashboard/counts", || post(count))
        .accessing(task_run_query::SUMMARIES);

#[derive(Debug, Deserialize)]
struct CountsQuery {
    #[serde(flatten)]
    filters: RunFilters,
    /// The filter on work queues, which goes by another name in most other operations.
    work_queues: Option<WorkQueueFilter>,
}

async fn count(State(app): State<App>, Body(query): Body<CountsQuery>) -> Result<Json<Vec<IntervalOutcomes>>> {
    let mut filters = RunFilters { work_pool_queues: query.work_queues, ..query.filters };
    let times = filters.task_runs.as_ref().and_then(|filter| filter.start_time.as_ref());
    let Some((after, before)) = times.and_then(|times| Some((times.after?, times.before))) else {
        return Err(Error::Unprocessable("task_runs.start_time.after_ is required".into()));
    };
    let mut outcomes = Outcomes::new(after, before.unwrap_or_else(|| app.now()));
    filters.task_runs = filters.task_runs.map(TaskRunFilter::of_ended_runs);
    app.store.task_run_summaries(&filters, |run| outcomes.add(run)).await?;
    Ok(Json(outcomes.into_intervals()))
}
