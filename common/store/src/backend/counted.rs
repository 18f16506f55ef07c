//! What the calls of a database cost the running request ([`cost`]).

use std::sync::Arc;

use futures::future::BoxFuture;

use super::{Backend, Consistency, Image, Metered, Page, Position, Query, Spent};
use crate::{
    CommitError, Item, Key, Write,
    cost::{self, Kind},
    query::Range,
    table::{Index, Projection},
    tallies::{CountedBatch, Tallied, TallyRange},
};
use error::Result;

/// A database whose calls are added to the cost of the request that makes them.
#[derive(Clone, Debug)]
pub struct Counted(Arc<dyn Backend>);

impl Counted {
    /// Counts the calls of `inner`.
    pub fn new(inner: Arc<dyn Backend>) -> Self {
        Self(inner)
    }
}

impl Backend for Counted {
    fn get<'a>(&'a self, keys: &'a [&'a Key], consistency: Consistency) -> BoxFuture<'a, Result<Metered<Vec<Item>>>> {
        Box::pin(async move {
            let answer = self.0.get(keys, consistency).await;
            if let Ok((items, spent)) = &answer {
                cost::add(&Kind::Read, items.len(), *spent);
            }
            answer
        })
    }

    fn query<'a>(&'a self, query: &'a Query<'a>) -> BoxFuture<'a, Result<Metered<Page>>> {
        Box::pin(async move {
            let answer = self.0.query(query).await;
            if let Ok((page, spent)) = &answer {
                let on = query.range.index.map_or("table", Index::name);
                cost::add_page(on, query.range.partitions.len(), page.looked_at, *spent);
            }
            answer
        })
    }

    fn carried(&self, range: &Range) -> Projection {
        self.0.carried(range)
    }

    fn are_transactions_dear(&self) -> bool {
        self.0.are_transactions_dear()
    }

    fn looks_into_rows(&self) -> bool {
        self.0.looks_into_rows()
    }

    fn write(&self, writes: Vec<Write>) -> BoxFuture<'_, Result<Spent, CommitError>> {
        Box::pin(async move {
            let answer = self.0.write(writes).await;
            // What is refused was a call all the same.
            cost::add(&Kind::Write, 0, answer.as_ref().copied().unwrap_or(Spent::once(0.0)));
            answer
        })
    }

    fn write_many(&self, writes: Vec<Write>) -> BoxFuture<'_, Result<Spent>> {
        Box::pin(async move {
            let answer = self.0.write_many(writes).await;
            if let Ok(spent) = &answer {
                cost::add(&Kind::Write, 0, *spent);
            }
            answer
        })
    }

    fn as_told(&self, images: Vec<Image>) -> BoxFuture<'_, Result<Metered<Vec<Option<Item>>>>> {
        Box::pin(async move {
            let answer = self.0.as_told(images).await;
            if let Ok((_, spent)) = &answer {
                cost::add(&Kind::Read, 0, *spent);
            }
            answer
        })
    }

    fn named_parts<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Vec<Key>>> {
        self.0.named_parts(key)
    }

    fn walk(&self, start: Option<Position>, limit: usize) -> BoxFuture<'_, Result<Metered<Page>>> {
        self.0.walk(start, limit)
    }

    fn tallies<'a>(&'a self, ranges: &'a [TallyRange]) -> BoxFuture<'a, Result<Metered<Option<Tallied>>>> {
        Box::pin(async move {
            let answer = self.0.tallies(ranges).await;
            match &answer {
                Ok((Some(tallied), spent)) => cost::add_page("tallies", ranges.len(), tallied.rows, *spent),
                // It took a read to see that there are none.
                Ok((None, spent)) if *spent != Spent::default() => cost::add(&Kind::Read, 0, *spent),
                _ => {}
            }
            answer
        })
    }

    fn count<'a>(&'a self, batch: &'a CountedBatch) -> BoxFuture<'a, Result<Spent>> {
        Box::pin(async move {
            let answer = self.0.count(batch).await;
            if let Ok(spent) = &answer {
                cost::add(&Kind::Write, 0, *spent);
            }
            answer
        })
    }

    fn mark_counted<'a>(&'a self, keys: &'a [Key]) -> BoxFuture<'a, Result<Metered<usize>>> {
        Box::pin(async move {
            let answer = self.0.mark_counted(keys).await;
            if let Ok((count, spent)) = &answer {
                cost::add(&Kind::Write, *count, *spent);
            }
            answer
        })
    }

    fn create(&self) -> BoxFuture<'_, Result<()>> {
        self.0.create()
    }

    fn is_ready(&self) -> BoxFuture<'_, Result<bool>> {
        self.0.is_ready()
    }

    fn approximate_item_count(&self) -> BoxFuture<'_, Option<u64>> {
        self.0.approximate_item_count()
    }
}
