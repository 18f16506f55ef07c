//! The intake of log lines: what clients send becomes durable here, and is told to those who follow.

use domain::model::LogCreate;
use error::Result;
use store::{TableAccess, logs};

use crate::App;

/// What [`receive`] touches.
pub const RECEIVE: TableAccess = logs::ADD;

/// Keeps `logs` as received now.
///
/// The same lines in a second request, which a client sends when it saw no answer, change nothing.
///
/// # Errors
/// If not all lines are durable; some may be, and a repeat adds the rest.
pub async fn receive(app: &App, logs: Vec<LogCreate>) -> Result<()> {
    let is_heard = !app.live.logs.is_empty();
    let kept = app.store.add_logs_as(logs, app.now(), is_heard).await?;
    app.live.tell_logs(&kept);
    Ok(())
}
