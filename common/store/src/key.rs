//! Keys: how they are written, so that their text order is the order that is wanted and a client's text fits.

use std::borrow::Cow;

use domain::model::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What a missing value sorts as: before every time and name, where SQL puts a null.
const NULL: &str = "!";

/// An item's primary key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key {
    /// The partition key.
    pub pk: String,
    /// The sort key.
    pub sk: String,
}

impl Key {
    /// The sort key of what is left in the place of a deleted item.
    pub const TOMBSTONE: &str = "deleted";

    pub(crate) fn new(pk: impl Into<String>, sk: impl Into<String>) -> Self {
        Self { pk: pk.into(), sk: sk.into() }
    }

    /// Returns the key of what is left in the place of this item after its deletion.
    #[must_use]
    pub fn tombstone(&self) -> Self {
        Self::new(self.pk.clone(), Self::TOMBSTONE)
    }

    /// Says whether this is the key of what is left in the place of a deleted item.
    pub fn is_tombstone(&self) -> bool {
        self.sk == Self::TOMBSTONE
    }

    /// Returns a key that no item has, for records that don't keep theirs.
    pub(crate) fn nowhere() -> Self {
        Self::new(String::new(), String::new())
    }
}

/// Writes a time or nothing so that text order is time order, and nothing comes first.
pub fn time_or_null(time: Option<Timestamp>) -> String {
    time.map_or_else(|| NULL.to_owned(), Timestamp::sortable)
}

/// Returns what a missing value sorts as.
pub fn null() -> String {
    NULL.to_owned()
}

/// Appends the id that makes equal sort values distinct.
///
/// What stands between them sorts before every printable character, so that a name comes before its continuations.
pub fn sort_with_id(value: &str, id: impl std::fmt::Display) -> String {
    // DynamoDB takes 1,024 bytes of sort key; what follows can't decide an order that a person would see.
    let end = (0..=value.len().min(900)).rev().find(|end| value.is_char_boundary(*end)).unwrap_or(0);
    format!("{}\u{1}{id}", &value[..end])
}

/// Returns what [`sort_with_id`] made a sort key of, without the id.
pub fn without_id(key: &str) -> &str {
    key.rsplit_once('\u{1}').map_or(key, |(value, _)| value)
}

/// Reads the time that a sort key starts with; nothing if it starts with none.
pub fn time_of(sort_key: &str) -> Option<Timestamp> {
    let (time, _) = sort_key.split_once('\u{1}')?;
    time.parse().ok()
}

/// How many bytes of a client's text are written into a key as they are.
///
/// A partition key takes 2,048 bytes and may hold several texts, a sort key takes 1,024.
pub const LONGEST_TEXT: usize = 600;

/// Keeps a client's text within a key: a longer one is replaced by its digest.
pub(crate) fn bounded(text: &str) -> Cow<'_, str> {
    if text.len() <= LONGEST_TEXT { text.into() } else { format!("sha256#{}", digest(text)).into() }
}

/// Keeps a client's text within a key, so that of texts that start alike the keys start alike.
pub(crate) fn starting_alike(text: &str) -> Cow<'_, str> {
    match text.split_at_checked(LONGEST_TEXT) {
        Some((start, rest)) if !rest.is_empty() => format!("{start}#{}", digest(text)).into(),
        _ => text.into(),
    }
}

fn digest(text: &str) -> String {
    let hex: Vec<String> = Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    hex.concat()
}

#[cfg(test)]
mod tests {
    use domain::model::FlowId;

    use super::*;

    #[test]
    fn nothing_sorts_before_any_time() {
        assert!(time_or_null(None) < time_or_null(Some(Timestamp::now())));
    }

    #[test]
    fn long_texts_stay_within_a_key() {
        assert!(bounded(&"k".repeat(5_000)).len() < 100);
        assert_ne!(bounded(&"k".repeat(5_000)), bounded(&"k".repeat(5_001)));
        assert!(sort_with_id(&"ü".repeat(1_000), FlowId::new()).len() <= 1_024);
    }

    #[test]
    fn texts_that_start_alike_are_found_by_their_start() {
        let key = |length| starting_alike(&"k".repeat(length)).into_owned();
        assert!(key(3_000).len() <= 900);
        assert!(key(3_000).starts_with(&key(LONGEST_TEXT)));
        assert_ne!(key(3_000), key(3_001));
    }
}
