//! The change that measures how far this consumer is behind: the consumer notes that it came to it.

use super::{Failures, Written};
use domain::model::StreamProbe;
use error::Result;
use store::{Item, table::Subject};

use crate::App;

/// Notes that the consumer came to the probe, if it is among what was `written`.
///
/// Where that can't be written, the change waits with those that can't be consumed.
pub(super) async fn note(app: &App, written: &[(usize, Written<'_>)], failures: &mut Failures) {
    for (place, written) in written {
        if Subject::of(&written.after.key) == Some(Subject::StreamProbe)
            && let Err(error) = note_one(app, written.after).await
        {
            failures.add(*place, error);
        }
    }
}

async fn note_one(app: &App, item: &Item) -> Result<()> {
    let probe: StreamProbe = item.record()?;
    match probe.seen {
        None => app.store.see_stream_probe(probe, item.version, app.now()).await,
        // The note itself is a change.
        Some(_) => Ok(()),
    }
}
