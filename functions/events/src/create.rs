//! `POST /events`: keeps a batch of events.

use axum::{extract::State, http::StatusCode, routing::post};
use common::{
    Api, Result,
    http::{Body, Route},
    intake,
    model::Event,
    store::Needs,
};

/// The contract's `create_events`.
pub static ROUTE: Route = Route::post("create_events", "/events", || post(create)).needing(Needs::WRITES_MANY);

async fn create(State(api): State<Api>, Body(events): Body<Vec<Event>>) -> Result<StatusCode> {
    intake::receive(&api, events).await?;
    Ok(StatusCode::NO_CONTENT)
}
