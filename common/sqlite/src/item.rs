//! Items as rows, and how large they are.

use std::fmt;

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{
    Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use store::{Item, Key};

use crate::{SqliteError, index::Keys};

/// An item and the row that it is in.
#[derive(Debug)]
pub(crate) struct Stored {
    /// The row's number.
    pub(crate) id: i64,
    /// The item.
    pub(crate) item: Item,
}

/// Reads the item under `key`, with all of its attributes.
pub(crate) fn find(connection: &Connection, key: &Key) -> Result<Option<Stored>, SqliteError> {
    let mut statement = connection.prepare_cached(
        "SELECT id, version, announced, expires, brief, keys, head, tail FROM items WHERE pk = ?1 AND sk = ?2",
    )?;
    let found = statement.query_row(params![key.pk, key.sk], |row| Ok((row.get(0)?, read(row, 1, key.clone()))));
    let Some((id, item)) = found.optional()? else { return Ok(None) };
    Ok(Some(Stored { id, item: item? }))
}

/// Reads the columns from `first` on: version, announced, expires, brief, keys, head, tail.
pub(crate) fn read(row: &Row<'_>, first: usize, key: Key) -> Result<Item, SqliteError> {
    Ok(Item {
        key,
        version: version(row.get(first)?),
        announced: row.get::<_, Option<i64>>(first + 1)?.map(version),
        expires: row.get(first + 2)?,
        brief: row.get(first + 3)?,
        index_keys: keys(row.get_ref(first + 4)?.as_str_or_null().map_err(rusqlite::Error::from)?)?,
        head: row.get(first + 5)?,
        tail: row.get(first + 6)?,
    })
}

/// Reads the column `keys`.
pub(crate) fn keys(text: Option<&str>) -> Result<Keys, SqliteError> {
    text.map_or_else(
        || Ok(Keys::new()),
        |text| {
            serde_json::from_str(text).map_err(|error| SqliteError::Malformed(format!("the keys of an item: {error}")))
        },
    )
}

/// Reads those of the column `keys` that `are_wanted`, by their names, and passes the others over.
///
/// What is sorted by another order than its index's is thousands of items, of which each has a dozen keys.
pub(crate) fn some_keys(text: Option<&str>, are_wanted: impl Fn(&str) -> bool) -> Result<Keys, SqliteError> {
    let Some(text) = text else { return Ok(Keys::new()) };
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let read = deserializer.deserialize_map(Wanted(are_wanted));
    read.map_err(|error| SqliteError::Malformed(format!("the keys of an item: {error}")))
}

struct Wanted<W>(W);

impl<'de, W: Fn(&str) -> bool> Visitor<'de> for Wanted<W> {
    type Value = Keys;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object of texts")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Keys, A::Error> {
        let mut keys = Keys::new();
        // No name of an index has a character that JSON escapes.
        while let Some(name) = map.next_key::<&'de str>()? {
            if (self.0)(name) {
                keys.insert(name.to_owned(), map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(keys)
    }
}

/// Writes the column `keys`.
pub(crate) fn written_keys(keys: &Keys) -> Result<String, SqliteError> {
    serde_json::to_string(keys).map_err(|error| SqliteError::Malformed(error.to_string()))
}

/// Returns a version as SQLite keeps it; one that counts writes never comes near the bound.
pub(crate) fn number(version: u64) -> i64 {
    i64::try_from(version).unwrap_or(i64::MAX)
}

/// Returns a version as SQLite kept it.
pub(crate) fn version(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

/// Returns how many bytes an item has by DynamoDB's rules: names and values, digits of numbers in pairs.
pub(crate) fn size(item: &Item) -> usize {
    let Item { key, version, announced, head, tail, brief, expires, index_keys } = item;
    let text = |name: &str, value: &Option<String>| value.as_ref().map_or(0, |value| name.len() + value.len());
    let number = |name: &str, value: Option<u64>, sign: usize| {
        value.map_or(0, |value| name.len() + size_of_number(value) + sign)
    };
    key_size(key)
        + number("version", Some(*version), 0)
        + number("announced", *announced, 0)
        + number("expires", expires.map(i64::unsigned_abs), usize::from(expires.is_some_and(|time| time < 0)))
        + text("head", head)
        + text("tail", tail)
        + text("brief", brief)
        + index_keys.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>()
}

/// Returns how many bytes an item's primary key has.
pub(crate) fn key_size(key: &Key) -> usize {
    "pk".len() + key.pk.len() + "sk".len() + key.sk.len()
}

/// Returns how many bytes a number has: one, and one for each two of its digits without the zeros at its end.
fn size_of_number(mut number: u64) -> usize {
    while number > 0 && number.is_multiple_of(10) {
        number /= 10;
    }
    let digits = number.checked_ilog10().map_or(0, |digits| digits as usize + 1);
    digits.div_ceil(2) + 1
}
