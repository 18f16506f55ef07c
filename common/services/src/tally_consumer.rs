//! The consumer of the table's stream that counts: what it reads of the changes goes into DynamoDB's tallies.

use std::sync::atomic::{AtomicBool, Ordering};

use error::Result;
use store::{
    TableAccess,
    tallies::{CountedBatch, CountedChange},
};

use crate::App;

/// What the consumer does with the table, besides updates of tallies: it begins the fill where there is none.
pub const ACCESS: TableAccess = TableAccess::READS;

/// Whether this process has seen to it that the fill has begun.
static HAS_BEGUN: AtomicBool = AtomicBool::new(false);

/// Counts `changes` of a `shard` of the stream, in their order, and nothing of them that was counted before.
///
/// # Errors
/// Those of the store; whoever counts the batch again counts what is left of it.
pub async fn count(app: &App, shard: String, changes: Vec<CountedChange>) -> Result<()> {
    app.store.count_changes(&CountedBatch { shard, changes }).await?;
    // What there was before this consumer is counted by a job, which follows from what is written here.
    if !HAS_BEGUN.load(Ordering::Relaxed) {
        app.store.begin_tally_fill(app.now()).await?;
        HAS_BEGUN.store(true, Ordering::Relaxed);
    }
    Ok(())
}
