//! `POST /logs/filter`: reads the log lines that match.

use axum::{extract::State, routing::post};
use common::{
    App, Result,
    filter::{LogFilter, LogSort},
    http::{Body, Json, Route},
    model::Log,
    store::{logs, select::Window},
};
use serde::Deserialize;

/// The contract's `read_logs`.
pub static ROUTE: Route = Route::post("read_logs", "/logs/filter", || post(filter)).accessing(logs::FILTER);

#[derive(Debug, Deserialize)]
struct LogQuery {
    logs: Option<LogFilter>,
    sort: LogSort,
    #[serde(flatten)]
    window: Window,
}

async fn filter(State(app): State<App>, Body(query): Body<LogQuery>) -> Result<Json<Vec<Log>>> {
    let filter = query.logs.unwrap_or_default();
    Ok(Json(app.store.logs(&filter, query.sort, query.window).await?))
}
