//! The flow runs resource: one verb, one file.

pub mod count;
pub mod create;
pub mod delete;
pub mod download_logs;
pub mod filter;
pub mod paginate;
pub mod read;
pub mod set_state;
pub mod update;
pub mod update_labels;

use common::http::Route;

/// The routes of this resource.
pub const ROUTES: &[Route] = &[
    create::ROUTE,
    update::ROUTE,
    read::ROUTE,
    delete::ROUTE,
    count::ROUTE,
    filter::ROUTE,
    paginate::ROUTE,
    set_state::ROUTE,
    download_logs::ROUTE,
    update_labels::ROUTE,
];
