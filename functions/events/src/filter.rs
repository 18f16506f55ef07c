//! `POST /events/filter`: reads the first page of the events that match.

use axum::{extract::State, http::HeaderMap, routing::post};
use common::{
    App, Result,
    filter::EventFilter,
    http::{Body, Json, Route},
    store::event_query::{self, Counting},
};
use serde::Deserialize;

use crate::page::{EventPage, PageToken};

/// The contract's `read_events`.
pub static ROUTE: Route = Route::post("read_events", "/events/filter", || post(read)).accessing(event_query::READ);

#[derive(Debug, Deserialize)]
struct EventQuery {
    filter: Option<EventFilter>,
    limit: usize,
}

async fn read(State(app): State<App>, headers: HeaderMap, Body(query): Body<EventQuery>) -> Result<Json<EventPage>> {
    let mut filter = query.filter.unwrap_or_default();
    filter.resolve(app.now());
    let read = app.store.read_events(&filter, None, query.limit, Counting::Ahead).await?;
    let request = PageToken { filter, total: read.counted, limit: query.limit, after: None };
    Ok(Json(request.answer(read, &app.settings.base_path, &headers)?))
}
