//! Faults and lagging indexes around any database of the store, for tests: what [`crate::faults`] and [`crate::LaggingIndexes`]
//! are to DynamoDB alone, whose SDK has a part in them.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use error::{Error, Result};
use futures::future::BoxFuture;
use store::{
    Backend, CommitError, Consistency, Item, Key, Write,
    backend::{Metered, Page, Position, Query, Spent},
    query::Range,
    table::Projection,
    tallies::{Tallied, TallyRange},
};
use tokio::sync::Mutex;

use crate::faults::{Fault, Faults};

/// A database that fails as a script says.
///
/// Nothing was done where it says so. An answer is never lost here, for there is nothing that repeats a request.
#[derive(Clone, Debug)]
pub struct Failing {
    inner: Arc<dyn Backend>,
    faults: Vec<Faults>,
}

impl Failing {
    /// Puts the scripts before `inner`; the first one that has a fault for a call decides.
    pub fn new(inner: Arc<dyn Backend>, faults: Vec<Faults>) -> Self {
        Self { inner, faults }
    }

    fn fault(&self, operation: &str) -> Option<Fault> {
        self.faults.iter().find_map(|faults| faults.next_of(operation))
    }

    fn check(&self, operation: &str) -> Result<()> {
        self.fault(operation).map_or(Ok(()), |fault| Err(Error::Unavailable(format!("injected: {fault:?}"))))
    }
}

impl Backend for Failing {
    fn get<'a>(&'a self, keys: &'a [&'a Key], consistency: Consistency) -> BoxFuture<'a, Result<Metered<Vec<Item>>>> {
        Box::pin(async move {
            self.check(if keys.len() == 1 { "GetItem" } else { "BatchGetItem" })?;
            self.inner.get(keys, consistency).await
        })
    }

    fn query<'a>(&'a self, query: &'a Query<'a>) -> BoxFuture<'a, Result<Metered<Page>>> {
        Box::pin(async move {
            self.check("Query")?;
            self.inner.query(query).await
        })
    }

    fn carried(&self, range: &Range) -> Projection {
        self.inner.carried(range)
    }

    fn are_transactions_dear(&self) -> bool {
        self.inner.are_transactions_dear()
    }

    fn write(&self, writes: Vec<Write>) -> BoxFuture<'_, Result<Spent, CommitError>> {
        Box::pin(async move {
            match self.fault(if writes.len() == 1 { "PutItem" } else { "TransactWriteItems" }) {
                None => self.inner.write(writes).await,
                Some(Fault::TransactionConflict) => Err(CommitError::Contended),
                Some(fault) => Err(Error::Unavailable(format!("injected: {fault:?}")).into()),
            }
        })
    }

    fn write_many(&self, writes: Vec<Write>) -> BoxFuture<'_, Result<Spent>> {
        Box::pin(async move {
            self.check("BatchWriteItem")?;
            self.inner.write_many(writes).await
        })
    }

    fn walk(&self, start: Option<Position>, limit: usize) -> BoxFuture<'_, Result<Metered<Page>>> {
        self.inner.walk(start, limit)
    }

    fn tallies<'a>(&'a self, ranges: &'a [TallyRange]) -> BoxFuture<'a, Result<Metered<Option<Tallied>>>> {
        Box::pin(async move {
            self.check("Query")?;
            self.inner.tallies(ranges).await
        })
    }

    fn create(&self) -> BoxFuture<'_, Result<()>> {
        self.inner.create()
    }

    fn is_ready(&self) -> BoxFuture<'_, Result<bool>> {
        self.inner.is_ready()
    }

    fn approximate_item_count(&self) -> BoxFuture<'_, Option<u64>> {
        self.inner.approximate_item_count()
    }
}

/// A database whose indexes lag behind what is written through this, as those of DynamoDB do; clones share it.
///
/// A second, empty one is given every write some writes later, and answers the queries of indexes.
#[derive(Clone, Debug)]
pub struct Lagging {
    fresh: Arc<dyn Backend>,
    stale: Arc<dyn Backend>,
    /// The writes that the indexes don't tell of yet, in the order in which they were carried out.
    behind: Arc<Mutex<VecDeque<Vec<Write>>>>,
    longest: u64,
    queries: Arc<AtomicU64>,
}

impl Lagging {
    /// Lets the indexes of `fresh` be those of `stale`, which lag by `longest` writes at most; both are empty.
    pub fn new(fresh: Arc<dyn Backend>, stale: Arc<dyn Backend>, longest: u64) -> Self {
        Self { fresh, stale, behind: Arc::default(), longest, queries: Arc::default() }
    }

    /// Brings the indexes up to date.
    ///
    /// # Errors
    /// Those of the second database.
    pub async fn catch_up(&self) -> Result<()> {
        self.catch_up_to(0).await
    }

    /// Lets the indexes be behind by `count` writes at most.
    async fn catch_up_to(&self, count: u64) -> Result<()> {
        let mut behind = self.behind.lock().await;
        while u64::try_from(behind.len()).is_ok_and(|length| length > count) {
            let Some(writes) = behind.pop_front() else { break };
            // Its conditions were met before, on the same items: they are again.
            self.stale.write(writes).await?;
        }
        Ok(())
    }
}

impl Backend for Lagging {
    fn get<'a>(&'a self, keys: &'a [&'a Key], consistency: Consistency) -> BoxFuture<'a, Result<Metered<Vec<Item>>>> {
        self.fresh.get(keys, consistency)
    }

    fn query<'a>(&'a self, query: &'a Query<'a>) -> BoxFuture<'a, Result<Metered<Page>>> {
        Box::pin(async move {
            if query.range.index.is_none() {
                return self.fresh.query(query).await;
            }
            // Sometimes up to date, sometimes far behind, and as a rule in between.
            let turn = self.queries.fetch_add(1, Ordering::Relaxed);
            self.catch_up_to(turn.wrapping_mul(7) % (self.longest + 1)).await?;
            self.stale.query(query).await
        })
    }

    fn carried(&self, range: &Range) -> Projection {
        self.fresh.carried(range)
    }

    fn are_transactions_dear(&self) -> bool {
        self.fresh.are_transactions_dear()
    }

    fn write(&self, writes: Vec<Write>) -> BoxFuture<'_, Result<Spent, CommitError>> {
        Box::pin(async move {
            // Held meanwhile, so that the writes are noted in the order in which they are carried out.
            let mut behind = self.behind.lock().await;
            let spent = self.fresh.write(writes.clone()).await?;
            behind.push_back(writes);
            Ok(spent)
        })
    }

    fn write_many(&self, writes: Vec<Write>) -> BoxFuture<'_, Result<Spent>> {
        Box::pin(async move {
            let mut behind = self.behind.lock().await;
            let spent = self.fresh.write_many(writes.clone()).await?;
            behind.push_back(writes);
            Ok(spent)
        })
    }

    fn walk(&self, start: Option<Position>, limit: usize) -> BoxFuture<'_, Result<Metered<Page>>> {
        self.fresh.walk(start, limit)
    }

    fn tallies<'a>(&'a self, ranges: &'a [TallyRange]) -> BoxFuture<'a, Result<Metered<Option<Tallied>>>> {
        self.fresh.tallies(ranges)
    }

    fn create(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            self.fresh.create().await?;
            self.stale.create().await
        })
    }

    fn is_ready(&self) -> BoxFuture<'_, Result<bool>> {
        self.fresh.is_ready()
    }

    fn approximate_item_count(&self) -> BoxFuture<'_, Option<u64>> {
        self.fresh.approximate_item_count()
    }
}
