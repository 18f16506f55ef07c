//! `POST /logs/`: keeps a batch of log lines.

use axum::{extract::State, http::StatusCode, routing::post};
use common::{
    App, Result,
    http::{Body, Json, Route},
    log_ingestion,
    model::LogCreate,
};

/// The contract's `create_logs`.
pub static ROUTE: Route = Route::post("create_logs", "/logs/", || post(create)).accessing(log_ingestion::RECEIVE);

async fn create(State(app): State<App>, Body(logs): Body<Vec<LogCreate>>) -> Result<(StatusCode, Json<()>)> {
    log_ingestion::receive(&app, logs).await?;
    Ok((StatusCode::CREATED, Json(())))
}
