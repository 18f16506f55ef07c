//! A recount of all that tallies count, for `proctor check` on a deployed table.
//!
//! It goes on beside writes, and tallies lag behind them. So what differs is counted once more a while later: a tally
//! is reported only if it differs both times, and by as much.

use std::time::Duration;

use super::{Deltas, Length, TallyRange, counting, events, merge};
use crate::Store;
use error::Result;

/// How many items one page of the walk holds at most.
const PAGE: usize = 500;

/// How many ranges of tallies are asked for at once.
const RANGES: usize = 100;

impl Store {
    /// Counts everything that tallies count; returns what has to be added to them so that they are right.
    ///
    /// Nothing, if there are no tallies that answer. What differs is counted again after `pause`.
    ///
    /// It takes the right to scan the table, which no function has.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn tallies_that_differ(&self, pause: Duration) -> Result<Option<Deltas>> {
        let Some(mut first) = self.differences().await? else { return Ok(None) };
        if first.is_empty() {
            return Ok(Some(first));
        }
        tokio::time::sleep(pause).await;
        let Some(second) = self.differences().await? else { return Ok(None) };
        first.retain(|key, sums| second.get(key) == Some(sums));
        Ok(Some(first))
    }

    async fn differences(&self) -> Result<Option<Deltas>> {
        let (mut counted, mut start) = (Deltas::new(), None);
        loop {
            let (page, _) = self.backend.walk(start, PAGE).await?;
            counting::recount(&page.items, &mut counted);
            start = page.next;
            if start.is_none() {
                break;
            }
        }
        let Some(found) = self.rows(&counted).await? else { return Ok(None) };
        subtract(&mut counted, found);
        Ok(Some(counted))
    }

    /// Reads all tallies: those of the leaves that there are, and of the scopes in `known`.
    pub(super) async fn rows(&self, known: &Deltas) -> Result<Option<Deltas>> {
        let of_leaves = TallyRange { length: Length::Whole, scope: None, first: 0, last: 0, each: true };
        let (Some(whole), _) = self.backend.tallies(&[of_leaves]).await? else { return Ok(None) };
        let mut rows = whole.sums;
        let mut scopes = counting::scopes(rows.keys().chain(known.keys()));
        scopes.insert(events::EVENTS.to_vec());
        let by_time = scopes.into_iter().flat_map(|scope| {
            [Length::Hour, Length::Minute].map(|length| TallyRange {
                length,
                scope: Some(scope.clone()),
                first: i64::MIN,
                last: i64::MAX,
                each: true,
            })
        });
        for ranges in by_time.collect::<Vec<_>>().chunks(RANGES) {
            let (Some(found), _) = self.backend.tallies(ranges).await? else { return Ok(None) };
            merge(&mut rows, found.sums);
        }
        Ok(Some(rows))
    }
}

fn subtract(from: &mut Deltas, sums: Deltas) {
    merge(from, sums.into_iter().map(|(key, sums)| (key, -sums)).collect());
}
