//! Every route and every function there is: what the local server, the fallback and the templates are made of.

pub mod functions;
mod resources;

use common::http::Route;

pub use resources::RESOURCES;

/// Returns the routes of all resources.
pub fn routes() -> Vec<&'static Route> {
    RESOURCES.iter().flat_map(|(_, routes)| routes.iter().copied()).collect()
}
