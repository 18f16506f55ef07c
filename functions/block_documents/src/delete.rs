//! `DELETE /block_documents/{id}`: deletes a block document.
//!
//! Those that it is within go on without it.

use axum::{extract::State, http::StatusCode, routing::delete as on_delete};
use common::{
    App, Result,
    http::{Path, Route, extract::Id},
    model::{BlockDocument, BlockDocumentId},
};

/// The contract's `delete_block_document`.
pub static ROUTE: Route = Route::delete("delete_block_document", "/block_documents/{id}", || on_delete(delete));

async fn delete(State(app): State<App>, Path(path): Path<Id<BlockDocumentId>>) -> Result<StatusCode> {
    app.store.delete::<BlockDocument>(path.id).await?;
    Ok(StatusCode::NO_CONTENT)
}
