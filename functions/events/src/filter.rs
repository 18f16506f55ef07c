//! `POST /events/filter`: reads the first page of the events that match.

use axum::{Json, extract::State, http::HeaderMap, routing::post};
use common::{
    Api, Result,
    filter::EventFilter,
    http::{Body, Route},
    store::{Needs, event_query::Counting, table::Index},
};
use serde::Deserialize;

use crate::page::{EventPage, PageToken};

/// The contract's `read_events`.
pub static ROUTE: Route = Route::post("read_events", "/events/filter", || post(read)).needing(Needs::READS.through(&[
    Index::ByTime,
    Index::Lookup,
    Index::Related,
]));

#[derive(Debug, Deserialize)]
struct EventQuery {
    filter: Option<EventFilter>,
    limit: usize,
}

async fn read(State(api): State<Api>, headers: HeaderMap, Body(query): Body<EventQuery>) -> Result<Json<EventPage>> {
    let mut filter = query.filter.unwrap_or_default();
    filter.resolve(api.now());
    let read = api.store.read_events(&filter, None, query.limit, Counting::Ahead).await?;
    let request = PageToken { filter, total: read.counted, limit: query.limit, after: None };
    Ok(Json(request.answer(read, &api.settings.base_path, &headers)?))
}
