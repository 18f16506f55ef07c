//! `DELETE /work_pools/{name}`: deletes a work pool and its queues.

use axum::{extract::State, http::StatusCode, routing::delete as on_delete};
use common::{
    App, Error, Result,
    http::{Path, Route},
    jobs::removals,
    store::table,
};

use crate::path::PoolPath;

/// The contract's `delete_work_pool`.
pub static ROUTE: Route =
    Route::delete("delete_work_pool", "/work_pools/{name}", || on_delete(delete)).accessing(removals::OF_QUEUE);

async fn delete(State(app): State<App>, Path(path): Path<PoolPath>) -> Result<StatusCode> {
    if path.is_reserved() {
        let message = "Work pools starting with 'Prefect' are reserved for internal use and can not be deleted.";
        return Err(Error::Forbidden(message.into()));
    }
    let deleted = path.worded(app.store.delete_work_pool(path.name(), app.now()).await)?;
    removals::within_request(&app, deleted.queues.into_iter().map(table::work_queue)).await;
    Ok(StatusCode::NO_CONTENT)
}
