//! `GET /block_types/slug/{slug}/block_documents`: reads the block documents of a type.

use axum::{extract::State, routing::get};
use common::{
    App, Result,
    blocks::answers::{self, Show},
    filter::{BlockDocumentFilter, BlockDocumentSort},
    http::{Json, Path, Query, Route},
    model::{BlockDocumentResponse, BlockType},
    store::{
        block_documents::{self, DocumentQuery},
        block_types::with_slug,
        select::Window,
    },
};

use crate::{Secrets, Slug};

/// The contract's `read_block_documents_for_block_type`.
pub static ROUTE: Route =
    Route::get("read_block_documents_for_block_type", "/block_types/slug/{slug}/block_documents", || get(read))
        .accessing(block_documents::FILTER.opening_secrets());

/// All of them: Prefect asks for no page here.
const ALL: Window = Window { offset: 0, limit: usize::MAX };

async fn read(
    State(app): State<App>,
    Path(path): Path<Slug>,
    Query(query): Query<Secrets>,
) -> Result<Json<Vec<BlockDocumentResponse>>> {
    let block_type = app.store.read_one::<BlockType>(with_slug(&path.slug)).await?.record;
    let of_type = DocumentQuery { documents: BlockDocumentFilter::of_type(block_type.id), ..DocumentQuery::default() };
    let found = app.store.block_documents(&of_type, BlockDocumentSort::NameAsc, ALL).await?;
    Ok(Json(answers::answered(&app, found, Show::secrets_if(query.include_secrets)).await?))
}
