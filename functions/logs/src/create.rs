//! `POST /logs/`: keeps a batch of log lines.

use axum::{Json, extract::State, http::StatusCode, routing::post};
use common::{
    Api, Result,
    http::{Body, Route},
    model::LogCreate,
    store::Needs,
};

/// The contract's `create_logs`.
pub static ROUTE: Route = Route::post("create_logs", "/logs/", || post(create)).needing(Needs::WRITES_MANY);

async fn create(State(api): State<Api>, Body(logs): Body<Vec<LogCreate>>) -> Result<(StatusCode, Json<()>)> {
    api.store.add_logs(logs, api.now()).await?;
    Ok((StatusCode::CREATED, Json(())))
}
