//! The database as the store asks it.

use futures::{FutureExt, future::BoxFuture};
use store::{
    CommitError, Item, Key, Write,
    backend::{Backend, Consistency, MOST_WRITES, Metered, Page, Position, Query, Spent, check_sizes},
    query::Range,
    table::Projection,
    tallies::{Tallied, TallyRange},
};
use tokio::sync::oneshot;

use error::Result;

use crate::{
    Database, SqliteError, item,
    reading::{self, Plan},
    tallies,
    transaction::Transaction,
    writability,
};

/// From how many items on a read is made on another thread: looking at so many takes milliseconds.
const LONG_PAGE: usize = 400;

/// Up to how many ranges of tallies are summed up on the thread of the request.
const FEW_RANGES: usize = 50;

/// One call, of which nobody counts the units.
const CALL: Spent = Spent { round_trips: 1, units: 0.0 };

impl Backend for Database {
    fn get<'a>(&'a self, keys: &'a [&'a Key], _: Consistency) -> BoxFuture<'a, Result<Metered<Vec<Item>>>> {
        async move { Ok((self.0.read(|connection| reading::get(connection, keys))?, CALL)) }.boxed()
    }

    fn query<'a>(&'a self, query: &'a Query<'a>) -> BoxFuture<'a, Result<Metered<Page>>> {
        async move {
            let plan = Plan::of(query)?;
            let page = if plan.limit() < LONG_PAGE {
                self.0.read(|connection| plan.read(connection))?
            } else {
                self.0.read_aside(move |connection| plan.read(connection)).await?
            };
            Ok((page, CALL))
        }
        .boxed()
    }

    fn carried(&self, range: &Range) -> Projection {
        reading::carried(range)
    }

    fn looks_into_rows(&self) -> bool {
        true
    }

    fn write(&self, writes: Vec<Write>) -> BoxFuture<'_, Result<Spent, CommitError>> {
        async move {
            check_sizes(&writes)?;
            let weight = weigh(&writes);
            self.commit(writes, weight).await
        }
        .boxed()
    }

    fn write_many(&self, writes: Vec<Write>) -> BoxFuture<'_, Result<Spent>> {
        async move {
            debug_assert!(writes.len() <= MOST_WRITES, "the store asks for no more");
            check_sizes(&writes)?;
            let weight = weigh(&writes);
            Ok(self.commit(writes, weight).await?)
        }
        .boxed()
    }

    fn walk(&self, start: Option<Position>, limit: usize) -> BoxFuture<'_, Result<Metered<Page>>> {
        async move {
            let page = self.0.read_aside(move |connection| reading::walk(connection, start.as_ref(), limit)).await?;
            Ok((page, CALL))
        }
        .boxed()
    }

    fn tallies<'a>(&'a self, ranges: &'a [TallyRange]) -> BoxFuture<'a, Result<Metered<Option<Tallied>>>> {
        async move {
            let tallied = if ranges.len() <= FEW_RANGES {
                self.0.read(|connection| tallies::read(connection, &self.0.pending, ranges))?
            } else {
                let (ranges, pending) = (ranges.to_owned(), self.0.pending.clone());
                self.0.read_aside(move |connection| tallies::read(connection, &pending, &ranges)).await?
            };
            Ok((Some(tallied), CALL))
        }
        .boxed()
    }

    fn create(&self) -> BoxFuture<'_, Result<()>> {
        // It is made when it is opened.
        futures::future::ready(Ok(())).boxed()
    }

    fn is_ready(&self) -> BoxFuture<'_, Result<bool>> {
        async move {
            writability::check(&self.0.writer).await?;
            Ok(true)
        }
        .boxed()
    }

    fn approximate_item_count(&self) -> BoxFuture<'_, Option<u64>> {
        async move { self.0.read_aside(reading::count).await.ok() }.boxed()
    }
}

impl Database {
    async fn commit(&self, writes: Vec<Write>, weight: usize) -> Result<Spent, CommitError> {
        let (reply, answer) = oneshot::channel();
        self.0.writer.submit(Box::new(Transaction::new(writes, weight, reply))).await;
        let lost = |_| Err(CommitError::Failed(SqliteError::Panicked("nobody told how it ended".into()).into()));
        answer.await.unwrap_or_else(lost).map(|()| CALL)
    }
}

/// Returns how many bytes `writes` have.
fn weigh(writes: &[Write]) -> usize {
    let size = |write: &Write| match write {
        Write::Insert(item) | Write::Replace(item) | Write::Put(item) => item::size(item),
        Write::Delete(key) | Write::DeleteVersion(key, _) => item::key_size(key),
    };
    writes.iter().map(size).sum()
}
