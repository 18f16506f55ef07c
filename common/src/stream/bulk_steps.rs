//! The next steps of operations on many flow runs, asked of the queue's worker.

use super::Failures;
use crate::{
    error::Result,
    model::BulkPart,
    queue::{Message, Queue},
    store::{Item, table::Subject},
};

/// Sends a message for the next step of each part that was `written` and is not finished.
///
/// A change that comes again sends its message again, for a step that is done by then.
pub(super) async fn send(queue: &Queue, written: &[(usize, &Item)], failures: &mut Failures) {
    let (mut places, mut messages) = (Vec::new(), Vec::new());
    for (place, item) in written {
        match next_step(item) {
            Ok(Some(message)) => {
                places.push(*place);
                messages.push(message);
            }
            Ok(None) => {}
            Err(error) => tracing::error!(key = ?item.key, %error, "a part can't be read and is passed over"),
        }
    }
    if messages.is_empty() {
        return;
    }
    if let Err(error) = queue.send(&messages).await {
        failures.add_all(places, &error);
    }
}

fn next_step(item: &Item) -> Result<Option<Message>> {
    if !matches!(Subject::of(&item.key), Some(Subject::BulkPart(_))) {
        return Ok(None);
    }
    let part: BulkPart = item.record()?;
    let message = || Message::BulkStep { operation: part.operation, part: part.number, step: part.step };
    Ok(part.finished.is_none().then(message))
}
