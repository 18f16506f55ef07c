//! `POST /logs/`: keeps a batch of log lines.

use axum::{extract::State, http::StatusCode, routing::post};
use common::{
    App, Result,
    http::{Body, Json, Route},
    model::LogCreate,
    store::logs,
};

/// The contract's `create_logs`.
pub static ROUTE: Route = Route::post("create_logs", "/logs/", || post(create)).accessing(logs::ADD);

async fn create(State(app): State<App>, Body(logs): Body<Vec<LogCreate>>) -> Result<(StatusCode, Json<()>)> {
    app.store.add_logs(logs, app.now()).await?;
    Ok((StatusCode::CREATED, Json(())))
}
