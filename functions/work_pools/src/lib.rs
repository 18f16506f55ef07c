//! Work pools and their queues: where flow runs wait for workers.

pub mod count;
pub mod create;
pub mod delete;
pub mod filter;
mod path;
pub mod queues;
pub mod read;
mod response;
mod sent;
pub mod update;

use common::http::Route;

/// The routes of this resource.
pub static ROUTES: &[&Route] = &[
    &create::ROUTE,
    &read::ROUTE,
    &filter::ROUTE,
    &count::ROUTE,
    &update::ROUTE,
    &delete::ROUTE,
    &queues::create::ROUTE,
    &queues::read::ROUTE,
    &queues::filter::ROUTE,
    &queues::update::ROUTE,
    &queues::delete::ROUTE,
];
