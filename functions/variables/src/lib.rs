//! The variables resource: one verb, one file.

pub mod count;
pub mod create;
pub mod delete;
pub mod delete_by_name;
pub mod filter;
pub mod read;
pub mod read_by_name;
pub mod update;
pub mod update_by_name;

use common::http::Route;
use serde::Deserialize;

/// How Prefect words that there is no such variable.
const NOT_FOUND: &str = "Variable not found.";

/// The path of an operation on the variable of a name.
#[derive(Debug, Deserialize)]
struct Name {
    name: String,
}

/// The routes of this resource.
pub static ROUTES: &[&Route] = &[
    &create::ROUTE,
    &read::ROUTE,
    &update::ROUTE,
    &delete::ROUTE,
    &read_by_name::ROUTE,
    &update_by_name::ROUTE,
    &delete_by_name::ROUTE,
    &filter::ROUTE,
    &count::ROUTE,
];
