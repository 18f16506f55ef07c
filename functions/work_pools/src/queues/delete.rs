//! `DELETE /work_pools/{work_pool_name}/queues/{name}`: deletes a queue of a work pool.

use axum::{extract::State, http::StatusCode, routing::delete as on_delete};
use common::{
    App, Error, Result,
    http::{Path, Route},
    jobs::removals,
    store::{
        TableAccess,
        commit::retry_on_conflict,
        table::{self, Index},
    },
};

use crate::path::QueuePath;

/// The contract's `delete_work_queue` of a pool.
pub static ROUTE: Route =
    Route::delete("delete_work_queue", "/work_pools/{work_pool_name}/queues/{name}", || on_delete(delete))
        .accessing(TableAccess::WRITES.via(&[Index::Occupying, Index::Related, Index::WaitingInQueue]));

async fn delete(State(app): State<App>, Path(path): Path<QueuePath>) -> Result<StatusCode> {
    let deleted = retry_on_conflict(|| async {
        let of = path.pool_with_queues(&app).await?.ok_or_else(|| path.no_pool())?;
        let found = path.queue(&of)?;
        if of.pool.record.pool.default_queue_id == Some(found.record.queue.id) {
            return Err(Error::Conflict("Can't delete a pool's default queue.".into()).into());
        }
        app.store.delete_work_queue(&of, found).await?;
        Ok(found.record.queue.id)
    })
    .await?;
    removals::within_request(&app, [table::work_queue(deleted)]).await;
    Ok(StatusCode::NO_CONTENT)
}
