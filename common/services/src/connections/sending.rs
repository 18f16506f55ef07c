//! How a message gets through the gateway to a client.

use std::time::{Duration, Instant};

use domain::model::is_relayed;
use error::Result;

use super::{Undelivered, end};
use crate::App;

/// The largest message that API Gateway takes, in bytes (AWS: "Amazon API Gateway quotas", message payload size).
pub const LARGEST_MESSAGE: usize = 128 * 1024;

/// The largest message that is sent through the relay, in bytes.
///
/// Some are a function's answer, which may have 6 MB (AWS: "Lambda quotas") and in which quotes take two bytes.
pub const LARGEST_RELAYED_MESSAGE: usize = 3 * 1024 * 1024;

/// Returns how large a message through the connection `id` may be, in bytes.
pub fn largest_message(id: &str) -> usize {
    if is_relayed(id) { LARGEST_RELAYED_MESSAGE } else { LARGEST_MESSAGE }
}

/// How long a message is posted again and again that the gateway refuses for the moment.
const PATIENCE: Duration = Duration::from_secs(6);

/// How long the second try waits; each further one waits twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// Sends a text through the connection `id`; returns whether the connection goes on.
///
/// One that is gone is taken out of the table at once. One that the gateway takes nothing for, again and again, is cut:
/// its client comes again, and is told then what it has missed.
///
/// # Errors
/// [`error::Error::Unavailable`] if the table can't be reached.
pub async fn send(app: &App, id: &str, text: &str) -> Result<bool> {
    let Some(connections) = &app.connections else { return Ok(false) };
    if text.len() > largest_message(id) {
        tracing::error!(id, bytes = text.len(), "a message is too large for a websocket of the gateway");
        return cut(app, id).await.map(|()| false);
    }
    let (began, mut pause) = (Instant::now(), FIRST_PAUSE);
    while began.elapsed() < PATIENCE {
        match connections.gateway.post(id, text).await {
            Ok(()) => return Ok(true),
            Err(Undelivered::Gone) => {
                end(app, id).await?;
                return Ok(false);
            }
            Err(Undelivered::Refused(reason)) => {
                tracing::warn!(id, reason, "the gateway does not take a message");
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
        }
    }
    cut(app, id).await.map(|()| false)
}

/// Cuts the connection `id`, and takes it out of the table.
///
/// # Errors
/// [`error::Error::Unavailable`] if the table can't be reached.
pub async fn cut(app: &App, id: &str) -> Result<()> {
    if let Some(connections) = &app.connections
        && let Err(error) = connections.gateway.cut(id).await
    {
        tracing::warn!(id, %error, "a connection can't be cut");
    }
    end(app, id).await
}
