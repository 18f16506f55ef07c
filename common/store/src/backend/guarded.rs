//! What the running operation has declared to do with the table ([`access`]), and no more.

use std::sync::Arc;

use futures::future::BoxFuture;

use super::{Backend, Consistency, Image, Metered, Page, Position, Query, Spent};
use crate::{
    CommitError, Item, Key, Write, access,
    query::Range,
    table::Projection,
    tallies::{CountedBatch, Tallied, TallyRange},
};
use error::{Error, Result};

/// A database that refuses what the running operation has not declared, as its role in the cloud would.
///
/// What runs outside of [`access::within`] is held to one thing, and so is everything else: nobody walks over the table.
#[derive(Clone, Debug)]
pub struct Guarded(Arc<dyn Backend>);

impl Guarded {
    /// Guards `inner`.
    pub fn new(inner: Arc<dyn Backend>) -> Self {
        Self(inner)
    }
}

impl Backend for Guarded {
    fn get<'a>(&'a self, keys: &'a [&'a Key], consistency: Consistency) -> BoxFuture<'a, Result<Metered<Vec<Item>>>> {
        Box::pin(async move {
            access::check(&["dynamodb:GetItem", "dynamodb:BatchGetItem"], None)?;
            self.0.get(keys, consistency).await
        })
    }

    fn query<'a>(&'a self, query: &'a Query<'a>) -> BoxFuture<'a, Result<Metered<Page>>> {
        Box::pin(async move {
            access::check(&["dynamodb:Query"], query.range.index)?;
            self.0.query(query).await
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
            access::check(&["dynamodb:PutItem", "dynamodb:DeleteItem"], None)?;
            self.0.write(writes).await
        })
    }

    fn write_many(&self, writes: Vec<Write>) -> BoxFuture<'_, Result<Spent>> {
        Box::pin(async move {
            access::check(&["dynamodb:BatchWriteItem"], None)?;
            self.0.write_many(writes).await
        })
    }

    fn as_told(&self, images: Vec<Image>) -> BoxFuture<'_, Result<Metered<Vec<Option<Item>>>>> {
        Box::pin(async move {
            access::check(&["dynamodb:BatchGetItem"], None)?;
            self.0.as_told(images).await
        })
    }

    fn named_parts<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Vec<Key>>> {
        self.0.named_parts(key)
    }

    fn walk(&self, _start: Option<Position>, _limit: usize) -> BoxFuture<'_, Result<Metered<Page>>> {
        Box::pin(async { Err(Error::Internal("the table is never scanned".into())) })
    }

    fn tallies<'a>(&'a self, ranges: &'a [TallyRange]) -> BoxFuture<'a, Result<Metered<Option<Tallied>>>> {
        Box::pin(async move {
            access::check(&["dynamodb:Query"], None)?;
            self.0.tallies(ranges).await
        })
    }

    fn count<'a>(&'a self, batch: &'a CountedBatch) -> BoxFuture<'a, Result<Spent>> {
        self.0.count(batch)
    }

    fn mark_counted<'a>(&'a self, keys: &'a [Key]) -> BoxFuture<'a, Result<Metered<usize>>> {
        Box::pin(async move {
            access::check(&["dynamodb:BatchGetItem"], None)?;
            self.0.mark_counted(keys).await
        })
    }

    fn create(&self) -> BoxFuture<'_, Result<()>> {
        self.0.create()
    }

    fn is_ready(&self) -> BoxFuture<'_, Result<bool>> {
        Box::pin(async move {
            access::check(&["dynamodb:DescribeTable"], None)?;
            self.0.is_ready().await
        })
    }

    fn approximate_item_count(&self) -> BoxFuture<'_, Option<u64>> {
        self.0.approximate_item_count()
    }
}
