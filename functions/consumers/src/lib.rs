//! The consumers resource, which is our own: how far what works in the background is behind.

pub mod read_lag;

use common::http::Route;

/// The routes of this resource.
pub static ROUTES: &[&Route] = &[&read_lag::ROUTE];
