//! Artifacts: what runs leave behind for people to look at.

pub mod count;
pub mod count_latest;
pub mod create;
pub mod delete;
pub mod filter;
pub mod filter_latest;
pub mod read;
pub mod read_latest;
pub mod update;

use common::{Error, http::Route};

/// The routes of this resource.
pub static ROUTES: &[&Route] = &[
    &create::ROUTE,
    &read::ROUTE,
    &read_latest::ROUTE,
    &filter::ROUTE,
    &filter_latest::ROUTE,
    &count::ROUTE,
    &count_latest::ROUTE,
    &update::ROUTE,
    &delete::ROUTE,
];

/// Says that there is no such artifact, as Prefect words it for artifacts alone.
fn not_found() -> Error {
    Error::not_found_in_words("Artifact not found.")
}
