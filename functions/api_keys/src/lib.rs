//! The API keys resource, which is our own: who may call, for the administrator to decide.
//!
//! The command `proctor keys` does the same without a server.

pub mod create;
pub mod read_all;
mod response;
pub mod revoke;

use common::http::Route;

/// The routes of this resource.
pub static ROUTES: &[&Route] = &[&read_all::ROUTE, &create::ROUTE, &revoke::ROUTE];
