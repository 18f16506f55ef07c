//! `DELETE /work_pools/{work_pool_name}/queues/{name}`: deletes a queue of a work pool.

use axum::{extract::State, http::StatusCode, routing::delete as on_delete};
use common::{
    App, Error, Result,
    http::{Path, Route},
    jobs::removals,
    store::table,
};

use crate::path::QueuePath;

/// The contract's `delete_work_queue` of a pool.
pub static ROUTE: Route =
    Route::delete("delete_work_queue", "/work_pools/{work_pool_name}/queues/{name}", || on_delete(delete))
        .accessing(removals::OF_QUEUE);

async fn delete(State(app): State<App>, Path(path): Path<QueuePath>) -> Result<StatusCode> {
    let deleted = app.store.delete_work_queue(path.queue_name(), app.now()).await;
    let deleted = path.worded(deleted).map_err(|error| match error {
        Error::Conflict(_) => Error::Conflict("Can't delete a pool's default queue.".into()),
        other => other,
    })?;
    removals::within_request(&app, [table::work_queue(deleted)]).await;
    Ok(StatusCode::NO_CONTENT)
}
