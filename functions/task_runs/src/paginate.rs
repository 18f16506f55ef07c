//! `POST /task_runs/paginate`: reads a numbered page of the task runs that match.

use axum::{Json, extract::State, routing::post};
use common::{
    Api, Result,
    filter::TaskRunSort,
    http::{
        Body, Route,
        page::{Page, PageNumber},
    },
    model::TaskRun,
    store::flow_run_query::RunFilters,
};
use serde::Deserialize;

/// The contract's `paginate_task_runs`.
pub const ROUTE: Route = Route::post("paginate_task_runs", "/task_runs/paginate", || post(paginate));

#[derive(Debug, Deserialize)]
struct TaskRunQuery {
    #[serde(flatten)]
    filters: RunFilters,
    sort: TaskRunSort,
    #[serde(flatten)]
    page: PageNumber,
}

async fn paginate(State(api): State<Api>, Body(query): Body<TaskRunQuery>) -> Result<Json<Page<TaskRun>>> {
    let (runs, count) = tokio::try_join!(
        api.store.task_runs(&query.filters, query.sort, query.page.window()),
        api.store.count_task_runs(&query.filters),
    )?;
    let now = api.now();
    let runs = runs.into_iter().map(|run| run.with_estimates(now)).collect();
    Ok(Json(query.page.of(runs, count)))
}
