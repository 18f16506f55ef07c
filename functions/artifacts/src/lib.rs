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

use common::http::Route;

/// How Prefect words that there is no such artifact.
const NOT_FOUND: &str = "Artifact not found.";

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
