//! `POST /logs/filter`: reads the log lines that match.

use axum::{Json, extract::State, routing::post};
use common::{
    Api, Result,
    filter::{LogFilter, LogSort},
    http::{Body, Route},
    model::Log,
    store::{Needs, select::Window, table::Index},
};
use serde::Deserialize;

/// The contract's `read_logs`.
pub static ROUTE: Route = Route::post("read_logs", "/logs/filter", || post(filter))
    .needing(Needs::READS.through(&[Index::ByTime, Index::Lookup]));

#[derive(Debug, Deserialize)]
struct LogQuery {
    logs: Option<LogFilter>,
    sort: LogSort,
    #[serde(flatten)]
    window: Window,
}

async fn filter(State(api): State<Api>, Body(query): Body<LogQuery>) -> Result<Json<Vec<Log>>> {
    let filter = query.logs.unwrap_or_default();
    Ok(Json(api.store.logs(&filter, query.sort, query.window).await?))
}
