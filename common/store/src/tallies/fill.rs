//! How runs and events that an older version wrote come into the tallies of DynamoDB, beside writes.
//!
//! Every write marks runs and events as counted ([`super::counting`]). The fill looks at all that there are, and
//! marks those without. The mark is a change of the item like any other: the stream tells of it, in its place among the
//! other changes of the item, and its consumer counts the item from there on. So it does not matter what is written
//! meanwhile: a write that comes first has marked the item, and one that comes later finds it counted.
//!
//! A pass in which nothing was left to be marked shows that all is counted. In a new table that is the first one. Where
//! something was left, another pass follows after [`PAUSE`]: functions of the version before may still write, and the
//! stream's consumer gets time to count what was marked.

use serde::{Deserialize, Serialize};

use crate::{
    CommitError, Item, Key, Record, Store, TableAccess, Versioned, Write,
    backend::{Position, Query, ReadOut},
    query::Range,
    table::{self, Collection, Index, IndexKey, Shards},
};
use domain::model::Timestamp;
use error::Result;

/// How many seconds lie between two passes.
pub const PAUSE: f64 = 900.0;

/// How many items one page has.
const PAGE: usize = 100;

/// How far the fill of the tallies is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TallyFill {
    /// When it began.
    pub begun: Timestamp,
    /// How many steps are done.
    pub step: u64,
    /// When the next step is due.
    pub due: Timestamp,
    /// What this pass has yet to look at.
    rest: Vec<Range>,
    /// Where in the first of these it is.
    #[serde(default)]
    position: Option<Position>,
    /// How many items this pass has marked.
    pub marked: u64,
    /// When a pass had nothing to mark; from then on tallies are complete.
    #[serde(default)]
    pub completed: Option<Timestamp>,
}

crate::json_record!(TallyFill);

impl Record for TallyFill {
    const HEAD: &'static [&'static str] = &["begun", "step", "due", "marked", "completed"];

    fn key(&self) -> Key {
        table::tally_fill()
    }

    fn index_keys(&self, _shards: Shards) -> Vec<IndexKey> {
        Vec::new()
    }
}

impl TallyFill {
    /// Says whether everything is counted.
    pub fn is_complete(&self) -> bool {
        self.completed.is_some()
    }
}

/// What a step touches.
pub const STEP: TableAccess = TableAccess::WRITES.via(&[Index::ByTime]);

impl Store {
    /// Begins the fill of the tallies at `now`, if it has not begun before.
    pub async fn begin_tally_fill(&self, now: Timestamp) -> Result<()> {
        if self.tally_fill().await?.is_some() {
            return Ok(());
        }
        let rest = self.all_that_is_tallied();
        let fill = TallyFill { begun: now, step: 0, due: now, rest, position: None, marked: 0, completed: None };
        match self.commit(vec![Write::Insert(self.item(&fill, 1)?)]).await {
            Ok(()) | Err(CommitError::ConditionFailed(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads how far the fill of the tallies is; none if it has not begun.
    pub async fn tally_fill(&self) -> Result<Option<Versioned<TallyFill>>> {
        self.get(&table::tally_fill()).await
    }

    /// Looks at the next page of items, and marks those that are not counted; at the end of a pass, decides what
    /// follows.
    pub async fn go_on_filling_tallies(&self, fill: &mut TallyFill, now: Timestamp) -> Result<()> {
        let Some((range, partition)) = fill.rest.first().and_then(|range| Some((range, range.partitions.first()?)))
        else {
            if fill.marked == 0 {
                fill.completed = Some(now);
            } else {
                (fill.rest, fill.marked, fill.due) = (self.all_that_is_tallied(), 0, now.plus_seconds(PAUSE));
            }
            return Ok(());
        };
        let (limit, start) = (PAGE, fill.position.clone());
        let query = Query { range, partition, read_out: ReadOut::Items, limit, start };
        let (page, _) = self.backend.query(&query).await?;
        let keys: Vec<Key> = page.items.into_iter().map(|item: Item| item.key).collect();
        let (marked, _) = self.backend.mark_counted(&keys).await?;
        fill.marked = fill.marked.saturating_add(marked as u64);
        fill.position = page.next;
        if fill.position.is_none() {
            fill.rest.remove(0);
        }
        Ok(())
    }

    /// Notes that a step is done, unless somebody else has done it.
    pub async fn advance_tally_fill(&self, fill: &TallyFill, version: u64) -> Result<()> {
        match self.commit(vec![self.replace(fill, version)?]).await {
            Ok(()) | Err(CommitError::ConditionFailed(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns the ranges of all runs and events, a partition each.
    fn all_that_is_tallied(&self) -> Vec<Range> {
        let all = |collection| Range::all(self, Index::ByTime, collection).split();
        [Collection::FlowRuns, Collection::Events].into_iter().flat_map(all).collect()
    }
}
