//! The operations resource, which is our own: work on many records that outlives its request.

pub mod read;
pub mod read_all;
pub mod stop;

use common::http::Route;

/// The routes of this resource.
pub static ROUTES: &[&Route] = &[&read_all::ROUTE, &read::ROUTE, &stop::ROUTE];
