//! `GET /events/filter/next`: reads the page that the link of the page before leads to.

use axum::{Json, extract::State, http::HeaderMap, routing::get};
use common::{
    Api, Error, Result,
    http::{Query, Route},
    store::{Needs, event_query::Counting, table::Index},
};
use serde::Deserialize;

use crate::page::{EventPage, PageToken};

/// The contract's `read_account_events_page`.
pub static ROUTE: Route = Route::get("read_account_events_page", "/events/filter/next", || get(read))
    .needing(Needs::READS.through(&[Index::ByTime, Index::Lookup, Index::Related]));

#[derive(Debug, Deserialize)]
struct NextPage {
    #[serde(rename = "page-token")]
    page_token: String,
}

async fn read(State(api): State<Api>, headers: HeaderMap, Query(query): Query<NextPage>) -> Result<Json<EventPage>> {
    let request = PageToken::read(&query.page_token).ok_or_else(|| Error::Forbidden("Forbidden".to_owned()))?;
    let read =
        api.store.read_events(&request.filter, request.after.as_deref(), request.limit, Counting::PageOnly).await?;
    Ok(Json(request.answer(read, &api.settings.base_path, &headers)?))
}
