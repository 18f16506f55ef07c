//! The task runs resource: one verb, one file.

pub mod count;
pub mod create;
pub mod delete;
pub mod filter;
pub mod history;
pub mod paginate;
pub mod read;
pub mod set_state;
pub mod update;

use common::http::Route;

/// How Prefect words that there is no such task run, where one is read or deleted.
const NOT_FOUND: &str = "Task not found";

/// The routes of this resource.
pub static ROUTES: &[&Route] = &[
    &create::ROUTE,
    &update::ROUTE,
    &count::ROUTE,
    &history::ROUTE,
    &read::ROUTE,
    &filter::ROUTE,
    &paginate::ROUTE,
    &delete::ROUTE,
    &set_state::ROUTE,
];
