//! The block types resource: one verb, one file.

pub mod block_document_by_name;
pub mod block_documents;
pub mod create;
pub mod delete;
pub mod filter;
pub mod install;
pub mod read;
pub mod read_by_slug;
pub mod update;

use common::http::Route;
use serde::Deserialize;

/// The path of an operation on the block type of a slug.
#[derive(Debug, Deserialize)]
struct Slug {
    slug: String,
}

/// Whether secrets are answered as they are.
#[derive(Debug, Deserialize)]
struct Secrets {
    include_secrets: bool,
}

/// The routes of this resource.
pub static ROUTES: &[&Route] = &[
    &create::ROUTE,
    &read::ROUTE,
    &update::ROUTE,
    &delete::ROUTE,
    &read_by_slug::ROUTE,
    &filter::ROUTE,
    &block_documents::ROUTE,
    &block_document_by_name::ROUTE,
    &install::ROUTE,
];
