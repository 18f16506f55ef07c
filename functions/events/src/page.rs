//! A page of events, and the link to the next one.

use axum::http::{HeaderMap, header::HOST};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use common::{
    Result,
    filter::EventFilter,
    model::ReceivedEvent,
    store::event_query::{self, EventsRead},
};
use serde::{Deserialize, Serialize};

/// The most events that a page holds (Prefect's `INTERACTIVE_PAGE_SIZE`).
const LARGEST_PAGE: usize = 50;

/// A page of events (contract schema `EventPage`).
#[derive(Clone, Debug, Serialize)]
pub struct EventPage {
    /// The events.
    pub events: Vec<ReceivedEvent>,
    /// How many events match, as counted for the first page.
    pub total: u64,
    /// Where the next page is, if there is one.
    pub next_page: Option<String>,
}

/// What a link to a next page carries: all that the page depends on, so that the server keeps nothing.
///
/// It can be forged without harm: whoever can send it can ask the same with a filter of their own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PageToken {
    /// The filter, with its window filled in.
    pub filter: EventFilter,
    /// How many events matched when the first page was read.
    pub total: u64,
    /// How many events a page holds at most.
    pub limit: usize,
    /// The place of the last event of the page before.
    pub after: Option<String>,
}

impl PageToken {
    /// Reads the token of a link; `None` if it isn't one of ours.
    pub fn read(token: &str) -> Option<Self> {
        let token: Self = serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
        Some(Self { limit: token.limit.min(LARGEST_PAGE), ..token })
    }

    /// Writes the token, in characters that need no escape in a link.
    fn write(&self) -> Result<String> {
        Ok(BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_vec(self)?))
    }

    /// Answers the page that this token asked for, with a link to the one after it.
    pub fn answer(self, read: EventsRead, base_path: &str, headers: &HeaderMap) -> Result<EventPage> {
        let total = self.total;
        let next_page = if read.has_more {
            let after = read.events.last().map(event_query::place).or(self.after);
            let token = Self { after, filter: self.filter, total, limit: self.limit };
            Some(format!("{}{base_path}/events/filter/next?page-token={}", origin(headers), token.write()?))
        } else {
            None
        };
        Ok(EventPage { events: read.events, total, next_page })
    }
}

/// Returns the scheme and host by which the client reached the server.
fn origin(headers: &HeaderMap) -> String {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let scheme = text("x-forwarded-proto").unwrap_or("http");
    format!("{scheme}://{}", text(HOST.as_str()).unwrap_or("localhost"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> PageToken {
        PageToken { filter: EventFilter::default(), total: 7, limit: 3, after: Some("2026#ü?".into()) }
    }

    #[test]
    fn reads_back_what_it_wrote() {
        let written = token().write().unwrap();
        assert!(written.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'));
        assert_eq!(PageToken::read(&written), Some(token()));
    }

    #[test]
    fn a_forged_token_asks_for_no_more_than_a_page() {
        let forged = PageToken { limit: 1_000_000, ..token() }.write().unwrap();
        assert_eq!(PageToken::read(&forged).map(|token| token.limit), Some(50));
        assert_eq!(PageToken::read("Z2FyYmFnZQ=="), None);
    }

    #[test]
    fn links_to_the_next_page_where_the_client_reached_the_server() {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, "127.0.0.1:4200".parse().unwrap());
        let more = EventsRead { events: Vec::new(), counted: 1, has_more: true };
        let page = token().answer(more, "/api", &headers).unwrap();
        let link = page.next_page.unwrap();
        assert!(link.starts_with("http://127.0.0.1:4200/api/events/filter/next?page-token="));
        assert_eq!(PageToken::read(link.rsplit('=').next().unwrap()), Some(token()));
        assert_eq!(token().answer(EventsRead::default(), "/api", &headers).unwrap().next_page, None);
    }
}
