//! The block documents resource: one verb, one file.
//!
//! What has a document's data in it is never shown for debugging.

pub mod count;
pub mod create;
pub mod delete;
pub mod filter;
pub mod read;
pub mod update;

use common::{
    filter::{BlockDocumentFilter, BlockSchemaFilter, BlockTypeFilter},
    http::Route,
    store::block_documents::DocumentQuery,
};
use serde::Deserialize;

/// Which documents are asked for.
#[derive(Debug, Deserialize)]
#[allow(clippy::struct_field_names, reason = "the contract names them so")]
struct WhichDocuments {
    block_documents: Option<BlockDocumentFilter>,
    block_types: Option<BlockTypeFilter>,
    block_schemas: Option<BlockSchemaFilter>,
}

impl From<WhichDocuments> for DocumentQuery {
    fn from(which: WhichDocuments) -> Self {
        Self {
            documents: which.block_documents.unwrap_or_default(),
            types: which.block_types,
            schemas: which.block_schemas,
        }
    }
}

/// The routes of this resource.
pub static ROUTES: &[&Route] =
    &[&create::ROUTE, &read::ROUTE, &update::ROUTE, &delete::ROUTE, &filter::ROUTE, &count::ROUTE];
