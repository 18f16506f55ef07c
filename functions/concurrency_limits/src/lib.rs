//! Concurrency limits of the first generation: of tags, whose slots task runs hold.
//!
//! They are the second generation's limits called `tag:` and the tag, as Prefect has them.

pub mod create;
pub mod decrement;
pub mod delete;
pub mod delete_by_tag;
pub mod filter;
pub mod increment;
pub mod read;
pub mod read_by_tag;
pub mod reset;
mod slots;

use common::http::Route;
use serde::Deserialize;

/// How Prefect words that there is no such limit.
const NOT_FOUND: &str = "Concurrency limit not found";

/// The path of an operation on the limit of a tag.
#[derive(Debug, Deserialize)]
pub(crate) struct Tag {
    tag: String,
}

/// The routes of this resource.
pub static ROUTES: &[&Route] = &[
    &create::ROUTE,
    &read::ROUTE,
    &read_by_tag::ROUTE,
    &filter::ROUTE,
    &reset::ROUTE,
    &delete::ROUTE,
    &delete_by_tag::ROUTE,
    &increment::ROUTE,
    &decrement::ROUTE,
];
