//! How far the consumers of the table's stream and of the queue are behind.
//!
//! Nothing is noted while nobody asks. The queue counts its messages itself. For the stream, whoever asks makes a
//! change, at most one in some seconds, and the consumer notes when it comes to it ([`domain::model::StreamProbe`]).
//! What can't be known is said to be unknown, with the reason, and fails nothing else.

use domain::model::{StreamLag, Timestamp};
use error::Result;
use serde::Serialize;
use store::{TableAccess, stream_probe};

use crate::{
    App,
    jobs::queue::{QueueDepth, QueueLocation},
};

/// What [`measure`] touches.
pub const MEASURE: TableAccess = stream_probe::PROBE;

/// How far the consumers are behind.
#[derive(Debug, Serialize)]
pub struct ConsumerLag {
    stream: StreamPart,
    queue: QueuePart,
}

/// How far the stream's consumer is behind.
#[derive(Debug, Default, Serialize)]
struct StreamPart {
    /// For how many seconds the change waited, or has been waiting, that was made at `measured`.
    behind_seconds: Option<f64>,
    /// Whether that change still waits, so that the consumer is behind by more.
    is_at_least: bool,
    measured: Option<Timestamp>,
    /// Why it is not known.
    unknown: Option<String>,
}

/// How many messages are in the queue.
#[derive(Debug, Serialize)]
struct QueuePart {
    #[serde(flatten)]
    depth: Option<QueueDepth>,
    /// Why it is not known.
    unknown: Option<String>,
}

/// Measures how far the consumers are behind; the `queue` is where the app says, if this process knows it.
pub async fn measure(app: &App, queue: Option<&QueueLocation>) -> ConsumerLag {
    let depth = async {
        match queue {
            Some(queue) => queue.depth().await.map(Some),
            None => Ok(None),
        }
    };
    let (probed, depth) = futures::join!(app.store.probe_stream(app.now()), depth);
    ConsumerLag { stream: stream_part(probed.map(|probe| probe.lag(app.now()))), queue: queue_part(depth) }
}

fn stream_part(lag: Result<StreamLag>) -> StreamPart {
    let known = |delay: domain::model::StreamDelay, is_at_least| StreamPart {
        behind_seconds: Some(delay.seconds),
        is_at_least,
        measured: Some(delay.sent),
        unknown: None,
    };
    let unknown = |reason: String| StreamPart { unknown: Some(reason), ..StreamPart::default() };
    match lag {
        Ok(StreamLag::Measured(delay)) => known(delay, false),
        Ok(StreamLag::AtLeast(delay)) => known(delay, true),
        Ok(StreamLag::Unknown) => unknown("a change was made to measure it; ask again in a few seconds".into()),
        Err(error) => {
            tracing::warn!(%error, "the stream could not be probed");
            unknown(error.public_message())
        }
    }
}

fn queue_part(depth: Result<Option<QueueDepth>>) -> QueuePart {
    let unknown = |reason: String| QueuePart { depth: None, unknown: Some(reason) };
    match depth {
        Ok(Some(depth)) => QueuePart { depth: Some(depth), unknown: None },
        Ok(None) => unknown("this process does not know the queue".into()),
        Err(error) => {
            tracing::warn!(%error, "the queue could not be measured");
            unknown(error.public_message())
        }
    }
}
