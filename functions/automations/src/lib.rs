//! Automations.

pub mod related_to;

use common::http::Route;

/// The routes of this resource.
pub static ROUTES: &[&Route] = &[&related_to::ROUTE];
