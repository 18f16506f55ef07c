//! Every function in one process.

pub mod assets;
pub mod backup;
pub mod check;
pub mod completions;
pub mod data_keys;
pub mod database;
pub mod database_server;
pub mod dead_letters;
pub mod failure;
pub mod keys;
pub mod output;
pub mod page;
pub mod progress;
pub mod server;
pub mod services;
pub mod socket;
pub mod views;

use axum::{Extension, Router};
use common::{
    App,
    http::{self, limits::Limits},
};
use page::Page;

/// Makes the service of all routes, and of our own views beside them, without Prefect's interfaces.
pub fn app(app: App) -> Router {
    app_with(app, None)
}

/// Makes the service of all routes, of our own views, and of Prefect's interfaces if there is a page.
pub fn app_with(app: App, page: Option<&Page>) -> Router {
    let limits = Limits::new(&app.settings.limits);
    let websockets = socket::routes(&app.settings.base_path);
    let views = views::routes(&app.settings);
    let server = http::server(app, registry::routes(), websockets, page.map(Page::pages)).layer(Extension(limits));
    views.fallback_service(server)
}
