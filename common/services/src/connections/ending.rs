//! What follows when a connection is over.

use domain::model::Subscription;
use error::Result;

use super::task_runs;
use crate::App;

/// Takes the connection `id` out of the table, and gives back what its client had not acknowledged.
///
/// # Errors
/// [`error::Error::Unavailable`] if the table can't be reached; what is left is found by others, or expires.
pub async fn end(app: &App, id: &str) -> Result<()> {
    if let Some(connections) = &app.connections {
        connections.heard.forget(id).await;
    }
    let Some(found) = app.store.connection(id).await? else { return Ok(()) };
    let Some(Subscription::TaskRuns(worker)) = &found.record.subscription else {
        return app.store.end_connection(&found.record, &[]).await;
    };
    // The connection goes last: until then, nobody else has what its worker has in hand.
    task_runs::leave(app, worker).await?;
    app.store.end_connection(&found.record, &task_runs::interests_of(worker)).await
}
