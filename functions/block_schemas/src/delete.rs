//! `DELETE /block_schemas/{id}`: deletes a block schema with the documents that have it.

use axum::{extract::State, http::StatusCode, routing::delete as on_delete};
use common::{
    App, Error, Result,
    http::{Path, Route, extract::Id},
    jobs::removals,
    model::{BlockSchema, BlockSchemaId, BlockType},
    store::table,
};

/// The contract's `delete_block_schema`.
pub static ROUTE: Route = Route::delete("delete_block_schema", "/block_schemas/{id}", || on_delete(delete))
    .accessing(removals::OF_BLOCK_SCHEMA);

async fn delete(State(app): State<App>, Path(path): Path<Id<BlockSchemaId>>) -> Result<StatusCode> {
    let schema = app.store.read_one::<BlockSchema>(path.id).await?.record;
    let block_type = app.store.find::<BlockType>(schema.block_type_id).await?;
    if block_type.is_some_and(|block_type| block_type.record.is_protected) {
        return Err(Error::Forbidden("Block schemas for protected block types cannot be deleted.".into()));
    }
    app.store.delete::<BlockSchema>(path.id).await?;
    removals::within_request(&app, [table::block_schema(path.id)]).await;
    Ok(StatusCode::NO_CONTENT)
}
