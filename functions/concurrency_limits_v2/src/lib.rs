//! Concurrency limits of the second generation: what a client calls around a task with tags.
//!
//! Limits themselves can't be made yet, so no name has one, and a lease holds no slot. Upstream's server answers the same
//! for names without a limit.

pub mod decrement_with_lease;
pub mod increment_with_lease;
pub mod renew_lease;

use common::http::Route;

/// The routes of this resource.
pub static ROUTES: &[&Route] = &[&increment_with_lease::ROUTE, &decrement_with_lease::ROUTE, &renew_lease::ROUTE];
