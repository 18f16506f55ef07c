//! The flow runs that may be late next, and how far they were looked at.
//!
//! A run that is to start has a place by its next scheduled start time, and loses it when it is started. So what finds
//! late runs by that place costs no entry of its own, as a timer does. A late run that still waits keeps its place: a
//! cursor tells up to where each of them was looked at.

use domain::model::{FlowRunId, Timestamp};
use error::Result;
use serde::{Deserialize, Serialize};

use super::{
    Item, Key, Record, Store, TableAccess, Versioned, Write,
    commit::was_written,
    query::{Range, just_after},
    table::{self, Collection, Index, IndexKey, Shards, Subject},
};

/// Up to which next scheduled start time flow runs were looked at for being late.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LateRunsCursor {
    /// Whatever was to start until then was looked at when it was late, or a message in the queue has it looked at.
    pub looked_until: Timestamp,
}

crate::json_record!(LateRunsCursor);

impl Record for LateRunsCursor {
    const HEAD: &'static [&'static str] = &["looked_until"];

    fn key(&self) -> Key {
        table::late_runs_cursor()
    }

    fn index_keys(&self, _shards: Shards) -> Vec<IndexKey> {
        Vec::new()
    }
}

/// A flow run that has a next scheduled start time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextStart {
    /// The run.
    pub run: FlowRunId,
    /// When it is to start.
    pub time: Timestamp,
    /// Its place among those of its partition, which are read by when they are to start.
    pub place: String,
}

/// What [`Store::next_starts`] and the methods of the cursor touch.
pub const LATE_RUNS: TableAccess = TableAccess::WRITES.via(&[Index::ByNextStart]);

impl Store {
    /// Returns the partitions that flow runs are spread over by their next scheduled start times.
    pub fn next_start_partitions(&self) -> Vec<String> {
        self.shards().all(Collection::FlowRuns)
    }

    /// Reads the first flow runs of a partition that are to start until `until`, from behind the place or time `after`
    /// on, `limit` at most.
    ///
    /// Some of them are late already or wait for something else, such as a retry. What an older version wrote beyond
    /// the calendar sorts before all times, and is passed over.
    pub async fn next_starts(
        &self,
        partition: &str,
        after: Option<&str>,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<NextStart>> {
        let from = after.map_or_else(|| Timestamp::MIN.sortable(), just_after);
        let range = Range::of_index(Index::ByNextStart, partition).between(Some(from), Some(until.sortable()));
        let found = self.read(range, limit).more().await?.unwrap_or_default();
        let next_start = |item: Item| {
            let place = item.index_keys.get(&Index::ByNextStart.sort())?.clone();
            let Some(Subject::FlowRun(run)) = Subject::of(&item.key) else { return None };
            Some(NextStart { run, time: table::time_of(&place)?, place })
        };
        Ok(found.into_iter().take(limit).filter_map(next_start).collect())
    }

    /// Reads how far flow runs were looked at for being late.
    pub async fn late_runs_cursor(&self) -> Result<Option<Versioned<LateRunsCursor>>> {
        self.get(&table::late_runs_cursor()).await
    }

    /// Notes that flow runs were looked at until `looked_until`, unless another look has noted something since the
    /// cursor was `read`.
    pub async fn move_late_runs_cursor(
        &self,
        read: Option<&Versioned<LateRunsCursor>>,
        looked_until: Timestamp,
    ) -> Result<()> {
        let cursor = LateRunsCursor { looked_until };
        let write = match read {
            None => self.insert(&cursor)?,
            Some(read) => self.replace(&cursor, read.version)?,
        };
        was_written(self.commit(vec![write]).await).map(drop)
    }

    /// Forgets how far flow runs were looked at, so that the next look begins with the first of them.
    pub async fn forget_late_runs_cursor(&self, read: &Versioned<LateRunsCursor>) -> Result<()> {
        was_written(self.commit(vec![Write::DeleteVersion(read.record.key(), read.version)]).await).map(drop)
    }
}
