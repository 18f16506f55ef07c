//! The entries of an item in the secondary indexes.

use std::{collections::BTreeMap, sync::LazyLock};

use rusqlite::{Connection, params};
use store::table::{Index, ORDERS};

use crate::SqliteError;

/// An index as the tables know it.
pub(crate) struct Declared {
    /// The index.
    pub(crate) index: Index,
    /// The attribute with its partition key.
    pub(crate) partition: String,
    /// The attribute with its sort key.
    pub(crate) sort: String,
}

/// All indexes; their names are put together once, because every write asks for each of them.
static DECLARED: LazyLock<Vec<Declared>> = LazyLock::new(|| {
    let declared = |index: Index| Declared { index, partition: index.partition(), sort: index.sort() };
    Index::ALL.into_iter().map(declared).collect()
});

/// Returns an index as the tables know it.
pub(crate) fn declared(index: Index) -> Option<&'static Declared> {
    DECLARED.iter().find(|declared| declared.index == index)
}

/// The keys that items are sorted by: by start time, and in the other orders ([`ORDERS`]).
static SORT_KEYS: LazyLock<Vec<String>> =
    LazyLock::new(|| std::iter::once(Index::ByStart).chain(ORDERS).map(Index::sort).collect());

/// Says whether a key is what items are sorted by in one of their orders; asked for each key of thousands of items.
pub(crate) fn is_order(key: &str) -> bool {
    SORT_KEYS.iter().any(|order| order == key)
}

/// Returns the number of an index in the file.
///
/// It is a part of the file's format: a number is never given to another index.
pub(crate) fn number(index: Index) -> i64 {
    match index {
        Index::ByStart => 1,
        Index::ByTime => 2,
        Index::ByNextStart => 3,
        Index::ByEnd => 4,
        Index::ByName => 5,
        Index::ByParent => 6,
        Index::Lookup => 7,
        Index::Related => 8,
        Index::ByState => 9,
        Index::ByDeployment => 10,
        Index::ByWorkQueue => 11,
        Index::WaitingInQueue => 12,
        Index::WaitingOfDeployment => 13,
        Index::Occupying => 14,
    }
}

/// The keys of the indexes, by attribute.
pub(crate) type Keys = BTreeMap<String, String>;

/// Returns where `declared` finds an item: it is in an index where it has both attributes.
fn entry<'k>(declared: &Declared, keys: &'k Keys) -> Option<(&'k str, &'k str)> {
    Some((keys.get(&declared.partition)?, keys.get(&declared.sort)?))
}

/// Returns the entries of an item with these keys: the number of the index, its partition and its sort key.
pub(crate) fn entries(keys: &Keys) -> impl Iterator<Item = (i64, &str, &str)> {
    DECLARED.iter().filter_map(move |declared| {
        let (partition, sort) = entry(declared, keys)?;
        Some((number(declared.index), partition, sort))
    })
}

/// Moves the entries of the item `id` whose keys differ from `before` to `after`; none is empty.
pub(crate) fn update(connection: &Connection, id: i64, before: &Keys, after: &Keys) -> Result<(), SqliteError> {
    for declared in &*DECLARED {
        let (old, new) = (entry(declared, before), entry(declared, after));
        if old == new {
            continue;
        }
        let number = number(declared.index);
        if let Some((partition, sort)) = old {
            connection
                .prepare_cached("DELETE FROM index_entries WHERE i = ?1 AND p = ?2 AND s = ?3 AND item = ?4")?
                .execute(params![number, partition, sort, id])?;
        }
        if let Some((partition, sort)) = new {
            connection
                .prepare_cached("INSERT INTO index_entries (i, p, s, item) VALUES (?1, ?2, ?3, ?4)")?
                .execute(params![number, partition, sort, id])?;
        }
    }
    Ok(())
}
