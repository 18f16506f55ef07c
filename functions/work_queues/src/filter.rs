//! `POST /work_queues/filter`: reads the work queues of all pools that match, by name.

use axum::{extract::State, routing::post};
use common::{
    App, Result,
    filter::WorkQueueFilter,
    http::{Body, Json, Route},
    model::work_queue::WorkQueueAnswer,
    store::{select::Window, work_queues},
};
use serde::Deserialize;

use crate::responses;

/// The contract's `read_work_queues` of all pools.
pub static ROUTE: Route = Route::post("read_work_queues_of_all_pools", "/work_queues/filter", || post(filter))
    .accessing(work_queues::FILTER.and(responses::ACCESS));

#[derive(Debug, Deserialize)]
struct WorkQueueQuery {
    work_queues: Option<WorkQueueFilter>,
    #[serde(flatten)]
    window: Window,
}

async fn filter(State(app): State<App>, Body(query): Body<WorkQueueQuery>) -> Result<Json<Vec<WorkQueueAnswer>>> {
    let queues = app.store.work_queues(query.work_queues.as_ref(), query.window).await?;
    Ok(Json(responses::all(&app, queues).await?))
}
