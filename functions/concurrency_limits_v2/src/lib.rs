//! Concurrency limits of the second generation: names with slots that clients take around what they do.

pub mod create;
pub mod decrement;
pub mod decrement_with_lease;
pub mod delete;
pub mod filter;
pub mod increment;
pub mod increment_with_lease;
mod path;
pub mod read;
pub mod renew_lease;
mod taking;
pub mod update;

use common::http::Route;

/// How Prefect words that there is no such limit.
const NOT_FOUND: &str = "Concurrency Limit not found";

/// The routes of this resource.
pub static ROUTES: &[&Route] = &[
    &create::ROUTE,
    &read::ROUTE,
    &filter::ROUTE,
    &update::ROUTE,
    &delete::ROUTE,
    &increment::ROUTE,
    &increment_with_lease::ROUTE,
    &decrement::ROUTE,
    &decrement_with_lease::ROUTE,
    &renew_lease::ROUTE,
];
