//! `DELETE /work_queues/{id}`: deletes a work queue.

use axum::{extract::State, http::StatusCode, routing::delete as on_delete};
use common::{
    App, Error, Result,
    http::{Path, Route, extract::Id},
    jobs::removals,
    model::WorkQueueId,
    store::{
        TableAccess,
        commit::retry_on_conflict,
        table::{self, Index},
    },
};

use crate::responses::no_queue;

/// The contract's `delete_work_queue` by id.
pub static ROUTE: Route = Route::delete("delete_work_queue_by_id", "/work_queues/{id}", || on_delete(delete))
    .accessing(TableAccess::WRITES.via(&[Index::Occupying, Index::Related, Index::WaitingInQueue]));

async fn delete(State(app): State<App>, Path(path): Path<Id<WorkQueueId>>) -> Result<StatusCode> {
    retry_on_conflict(|| async {
        let found = app.store.work_queue(path.id).await?.ok_or_else(no_queue)?;
        let of = app.store.pool_of_queue(&found.record.queue).await?.ok_or_else(no_queue)?;
        if of.pool.record.pool.default_queue_id == Some(path.id) {
            return Err(Error::integrity_conflict().into());
        }
        app.store.delete_work_queue(&of, &found).await
    })
    .await?;
    removals::within_request(&app, [table::work_queue(path.id)]).await;
    Ok(StatusCode::NO_CONTENT)
}
