//! The block schemas resource: one verb, one file.

pub mod create;
pub mod delete;
pub mod filter;
pub mod read;
pub mod read_by_checksum;

use common::{
    App, Error, Result,
    blocks::schemas,
    http::Route,
    model::{BlockSchema, BlockSchemaResponse},
};

/// The routes of this resource.
pub static ROUTES: &[&Route] =
    &[&create::ROUTE, &read::ROUTE, &read_by_checksum::ROUTE, &filter::ROUTE, &delete::ROUTE];

/// Answers a schema that was found.
async fn answered(app: &App, found: Option<BlockSchema>) -> Result<BlockSchemaResponse> {
    let found = schemas::answered(&app.store, found.into_iter().collect()).await?;
    found.into_iter().next().ok_or_else(|| Error::missing("block-schema"))
}
