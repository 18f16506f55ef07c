//! `DELETE /block_types/{id}`: deletes a block type with its schemas and documents.

use axum::{extract::State, http::StatusCode, routing::delete as on_delete};
use common::{
    App, Error, Result,
    http::{Path, Route, extract::Id},
    jobs::removals,
    model::{BlockType, BlockTypeId},
    store::table,
};

/// The contract's `delete_block_type`.
pub static ROUTE: Route =
    Route::delete("delete_block_type", "/block_types/{id}", || on_delete(delete)).accessing(removals::OF_BLOCK_TYPE);

async fn delete(State(app): State<App>, Path(path): Path<Id<BlockTypeId>>) -> Result<StatusCode> {
    if app.store.read_one::<BlockType>(path.id).await?.record.is_protected {
        return Err(Error::Forbidden("protected block types cannot be deleted.".into()));
    }
    app.store.delete::<BlockType>(path.id).await?;
    removals::within_request(&app, [table::block_type(path.id)]).await;
    Ok(StatusCode::NO_CONTENT)
}
