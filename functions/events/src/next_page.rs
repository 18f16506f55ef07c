//! `GET /events/filter/next`: reads the page that the link of the page before leads to.

use axum::{extract::State, http::HeaderMap, routing::get};
use common::{
    App, Error, Result,
    http::{Json, Query, Route},
    store::event_query::{self, Counting},
};
use serde::Deserialize;

use crate::page::{EventPage, PageToken};

/// The contract's `read_account_events_page`.
pub static ROUTE: Route =
    Route::get("read_account_events_page", "/events/filter/next", || get(read)).accessing(event_query::READ);

#[derive(Debug, Deserialize)]
struct NextPage {
    #[serde(rename = "page-token")]
    page_token: String,
}

async fn read(State(app): State<App>, headers: HeaderMap, Query(query): Query<NextPage>) -> Result<Json<EventPage>> {
    let request = PageToken::read(&query.page_token).ok_or_else(|| Error::Forbidden("Forbidden".to_owned()))?;
    let read =
        app.store.read_events(&request.filter, request.after.as_deref(), request.limit, Counting::PageOnly).await?;
    Ok(Json(request.answer(read, &app.settings.base_path, &headers)?))
}
