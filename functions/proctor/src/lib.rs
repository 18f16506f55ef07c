//! Every function in one process.

pub mod assets;
pub mod check;
pub mod connection;
pub mod data_keys;
pub mod database_server;
pub mod dead_letters;
pub mod keys;
pub mod server;
pub mod services;
pub mod socket;

use axum::{Extension, Router};
use common::{
    App,
    http::{self, limits::Limits},
};

/// Makes the service of all routes.
pub fn app(app: App) -> Router {
    let limits = Limits::new(&app.settings.limits);
    let websockets = socket::routes(&app.settings.base_path);
    http::server(app, registry::routes(), websockets).layer(Extension(limits))
}
