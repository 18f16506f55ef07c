//! The database under the store: the few operations that every database for it has.
//!
//! [`DynamoDb`] is the one in the cloud. The crate `sqlite` has the one of a single machine. Both give the same answers, and
//! meet the same conditions; what holds whatever the database is, such as access and cost, is put around it
//! ([`Guarded`], [`Counted`]).

mod counted;
mod dynamodb;
mod guarded;

use std::{collections::BTreeMap, fmt};

use futures::future::BoxFuture;

use super::{
    CommitError, Item, Key, Write,
    query::Range,
    table::{Index, Projection},
    tallies::{CountedBatch, Tallied, TallyRange},
};
use error::{Error, Result};

pub use counted::Counted;
pub(crate) use dynamodb::bodies::BodyPart;
pub use dynamodb::{
    DynamoDb, Image,
    bodies::TOKEN as PARTS_TOKEN,
    definition::{definition as table_definition, kept},
    spelling::{attribute_name, in_full},
};
pub use guarded::Guarded;

/// Whether a read sees every write before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consistency {
    /// It sees every write that was answered.
    Strong,
    /// What was written within the last second or so may be missing, for half the units.
    Eventual,
}

/// What a call took.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spent {
    /// Calls of the database.
    pub round_trips: u64,
    /// Capacity units of DynamoDB (AWS: "DynamoDB read and write operations"); none where nobody counts them.
    pub units: f64,
}

impl Spent {
    /// Returns what one call took.
    pub fn once(units: f64) -> Self {
        Self { round_trips: 1, units }
    }

    /// Returns what this and `other` took together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { round_trips: self.round_trips + other.round_trips, units: self.units + other.units }
    }
}

/// An outcome, and what it took to get there.
pub type Metered<T> = (T, Spent);

/// What a query reads out of each item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadOut {
    /// The item, as far as the index carries it, with the keys by which the index sorts.
    Items,
    /// Nothing but `brief`.
    Briefs,
    /// Nothing: the items are counted.
    Nothing,
}

/// One page of one partition of a range.
#[derive(Clone, Debug)]
pub struct Query<'q> {
    /// The range.
    pub range: &'q Range,
    /// Which of its partitions.
    pub partition: &'q str,
    /// What is read out.
    pub read_out: ReadOut,
    /// How many items are looked at, at most.
    pub limit: usize,
    /// Where the page before ended; none for the first one.
    pub start: Option<Position>,
}

/// Where a page ended: the key attributes of the last item that was looked at, by their names.
pub type Position = BTreeMap<String, String>;

/// A page of items.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Those that are read out, in order.
    pub items: Vec<Item>,
    /// How many are read out or counted.
    pub count: usize,
    /// How many were looked at.
    pub looked_at: usize,
    /// Where it ended; none if nothing comes after it.
    pub next: Option<Position>,
}

/// A database with one table.
///
/// Every method is a call: its future does all its work, and what it writes is durable when it ends.
pub trait Backend: fmt::Debug + Send + Sync {
    /// Reads the items under `keys`, which are distinct and [`MOST_KEYS`] at most, in no order and without missing ones.
    ///
    /// # Errors
    /// [`error::Error::Unavailable`] if another attempt may succeed.
    fn get<'a>(&'a self, keys: &'a [&'a Key], consistency: Consistency) -> BoxFuture<'a, Result<Metered<Vec<Item>>>>;

    /// Reads a page of a partition.
    ///
    /// It may end before its limit, even without an item, where there are more.
    ///
    /// # Errors
    /// As [`Self::get`].
    fn query<'a>(&'a self, query: &'a Query<'a>) -> BoxFuture<'a, Result<Metered<Page>>>;

    /// Returns what a query of `range` reads out of an item: what its index is declared to carry, unless this database has more
    /// or less of it at hand.
    fn carried(&self, range: &Range) -> Projection {
        range.index.map_or(Projection::All, Index::projection)
    }

    /// Says whether every index leads to an item's row at once, so that a query leaves out what lacks its texts and what
    /// else [is sought](crate::sought), whatever the index carries.
    fn looks_into_rows(&self) -> bool {
        false
    }

    /// Carries out `writes`, which touch an item once each: all of them or none.
    ///
    /// # Errors
    /// [`CommitError::ConditionFailed`] names the first write whose condition failed.
    fn write(&self, writes: Vec<Write>) -> BoxFuture<'_, Result<Spent, CommitError>>;

    /// Says whether a write costs twice as much with others, all of them or none, as it does by itself.
    fn are_transactions_dear(&self) -> bool {
        false
    }

    /// Carries out `writes` that have no condition and touch an item once each, [`MOST_WRITES`] at most, in no order and not as
    /// a whole.
    ///
    /// # Errors
    /// As [`Self::get`]; some of the writes may have been carried out.
    fn write_many(&self, writes: Vec<Write>) -> BoxFuture<'_, Result<Spent>>;

    /// Returns the items that a stream tells of by `images`, in their order; none for one of which a part is gone.
    ///
    /// # Errors
    /// As [`Self::get`].
    fn as_told(&self, images: Vec<Image>) -> BoxFuture<'_, Result<Metered<Vec<Option<Item>>>>> {
        Box::pin(async move { Ok((images.into_iter().map(Image::whole).collect(), Spent::default())) })
    }

    /// Returns the keys of the items that the one under `key` names as parts of its texts.
    ///
    /// # Errors
    /// As [`Self::get`].
    fn named_parts<'a>(&'a self, _key: &'a Key) -> BoxFuture<'a, Result<Vec<Key>>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    /// Reads the next items of the whole table, `limit` at most, for what is no request.
    ///
    /// # Errors
    /// As [`Self::get`].
    fn walk(&self, start: Option<Position>, limit: usize) -> BoxFuture<'_, Result<Metered<Page>>>;

    /// Makes the table if there is none; only for local databases, the template makes the real one.
    ///
    /// # Errors
    /// As [`Self::get`].
    fn create(&self) -> BoxFuture<'_, Result<()>>;

    /// Says whether the table is there and takes reads and writes.
    ///
    /// # Errors
    /// As [`Self::get`].
    fn is_ready(&self) -> BoxFuture<'_, Result<bool>>;

    /// Sums up tallies by scope and cell; nothing if the database keeps none, or has not counted all that there is.
    ///
    /// # Errors
    /// As [`Self::get`].
    fn tallies<'a>(&'a self, _ranges: &'a [TallyRange]) -> BoxFuture<'a, Result<Metered<Option<Tallied>>>> {
        Box::pin(async { Ok((None, Spent::default())) })
    }

    /// Adds a batch of the table's stream to the tallies, or what of it was not added before.
    ///
    /// A database that keeps tallies in the transactions of its writes has nothing to add.
    ///
    /// # Errors
    /// As [`Self::get`]; a part of it may be added.
    fn count<'a>(&'a self, _batch: &'a CountedBatch) -> BoxFuture<'a, Result<Spent>> {
        Box::pin(async { Ok(Spent::default()) })
    }

    /// Marks the items under `keys`, [`MOST_KEYS`] at most, so that the stream counts them; returns how many had no mark.
    ///
    /// # Errors
    /// As [`Self::get`]; some of them may be marked.
    fn mark_counted<'a>(&'a self, _keys: &'a [Key]) -> BoxFuture<'a, Result<Metered<usize>>> {
        Box::pin(async { Ok((0, Spent::default())) })
    }

    /// Returns about how many items the table has, for showing progress alone; none if that is not known.
    fn approximate_item_count(&self) -> BoxFuture<'_, Option<u64>>;
}

/// How many keys one [`Backend::get`] takes (AWS: `BatchGetItem`).
pub const MOST_KEYS: usize = 100;

/// How many writes one [`Backend::write_many`] takes (AWS: `BatchWriteItem`).
pub const MOST_WRITES: usize = 25;

/// How many writes one [`Backend::write`] takes (AWS: `TransactWriteItems`).
pub const LARGEST_TRANSACTION: usize = 100;

/// How many bytes the texts of an item have at most.
///
/// A request has 6 MB, and the largest record that follows from one holds it twice, as text in JSON.
pub const LARGEST_RECORD: usize = 32 * 1024 * 1024;

/// Returns how many bytes the texts of an item have.
pub fn text_size(item: &Item) -> usize {
    [&item.head, &item.tail].into_iter().flatten().map(String::len).sum()
}

/// Refuses `writes` of items that are larger than any database for the table takes.
///
/// # Errors
/// [`Error::TooLarge`] if there is one.
pub fn check_sizes(writes: &[Write]) -> Result<()> {
    let is_too_large = |write: &Write| match write {
        Write::Insert(item) | Write::Replace(item) | Write::Put(item) => text_size(item) > LARGEST_RECORD,
        Write::Delete(_) | Write::DeleteVersion(..) => false,
    };
    if writes.iter().any(is_too_large) {
        return Err(Error::TooLarge(format!(
            "The record is larger than the {} MB that the store takes",
            LARGEST_RECORD / (1024 * 1024)
        )));
    }
    Ok(())
}
