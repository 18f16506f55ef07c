//! `POST /events`: keeps a batch of events.

use axum::{extract::State, http::StatusCode, routing::post};
use common::{
    App, Result, event_ingestion,
    http::{Body, Route},
    model::Event,
};

/// The contract's `create_events`.
pub static ROUTE: Route = Route::post("create_events", "/events", || post(create)).accessing(event_ingestion::RECEIVE);

async fn create(State(app): State<App>, Body(events): Body<Vec<Event>>) -> Result<StatusCode> {
    event_ingestion::receive(&app, events).await?;
    Ok(StatusCode::NO_CONTENT)
}
