//! Every function in one process.

pub mod check;
pub mod dead_letters;
pub mod keys;
pub mod services;
pub mod socket;

use axum::Router;
use common::{App, http};

/// Makes the service of all routes.
pub fn app(app: App) -> Router {
    let websockets = socket::routes(&app.settings.base_path);
    http::server(app, registry::routes(), websockets)
}
