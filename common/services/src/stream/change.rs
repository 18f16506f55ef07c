//! Changes of items, as DynamoDB's stream tells them.
//!
//! What is large of an item may be in parts beside it. The stream tells which; they are read before a change is consumed,
//! and those of the item before it are deleted after. So a change of which a part is gone was consumed before.

use std::collections::HashMap;

use error::{Error, Result};
use serde_json::Value;
use store::{Item, Key, Store, backend::Image};

/// An item's attributes in DynamoDB's JSON, such as `{"pk": {"S": "flow#…"}}`.
pub type Attributes = HashMap<String, Value>;

/// A change of one item.
#[derive(Clone, Debug)]
pub struct Change {
    /// The item's primary key.
    pub key: Key,
    /// The item before the change; none where it was added.
    pub before: Option<Item>,
    /// The item after the change; none after its removal.
    pub after: Option<Item>,
}

impl Change {
    /// Reads a record of which nothing is in parts, in DynamoDB's JSON.
    ///
    /// # Errors
    /// [`Error::Internal`] if it is none of the table, or something of it is in parts.
    pub fn from_json(keys: Attributes, old_image: Option<Attributes>, new_image: Option<Attributes>) -> Result<Self> {
        let Record { key, before, after } = Record::from_json(keys, old_image, new_image)?;
        let whole = |image: Image| image.whole().ok_or_else(|| Error::Internal("an item is in parts".into()));
        Ok(Self { key, before: before.map(whole).transpose()?, after: after.map(whole).transpose()? })
    }

    /// Returns what was written, if the change is no removal.
    pub fn written(&self) -> Option<Written<'_>> {
        self.after.as_ref().map(|after| Written { before: self.before.as_ref(), after })
    }
}

/// A change of one item, as a stream tells it.
#[derive(Clone, Debug)]
pub struct Record {
    key: Key,
    before: Option<Image>,
    after: Option<Image>,
}

impl Record {
    /// Reads a record's keys, its old and its new image.
    ///
    /// # Errors
    /// [`Error::Internal`] if they are not an item of the table.
    pub fn new(
        keys: serde_dynamo::Item,
        old_image: Option<serde_dynamo::Item>,
        new_image: Option<serde_dynamo::Item>,
    ) -> Result<Self> {
        let unreadable = |error| Error::Internal(format!("an item could not be read: {error}"));
        let key = serde_dynamo::from_item(keys).map_err(unreadable)?;
        let read = |image: Option<serde_dynamo::Item>| image.map(Image::new).transpose();
        Ok(Self { key, before: read(old_image)?, after: read(new_image)? })
    }

    /// Reads a record's keys, its old and its new image in DynamoDB's JSON.
    ///
    /// # Errors
    /// [`Error::Internal`] if they are not an item of the table.
    pub fn from_json(keys: Attributes, old_image: Option<Attributes>, new_image: Option<Attributes>) -> Result<Self> {
        let read = |image: Option<Attributes>| image.map(attributes).transpose();
        Self::new(attributes(keys)?, read(old_image)?, read(new_image)?)
    }
}

impl From<Change> for Record {
    fn from(Change { key, before, after }: Change) -> Self {
        Self { key, before: before.map(Image::from), after: after.map(Image::from) }
    }
}

/// Records that came together, and the changes that they tell of.
#[derive(Debug, Default)]
pub struct Batch {
    /// The changes, in the order of their records and without those that were consumed before.
    pub changes: Vec<Change>,
    /// For each change, the place of its record.
    places: Vec<usize>,
    /// The parts that no item names when the changes are consumed, each with the place of its record.
    leftovers: Vec<(usize, Key)>,
}

impl Batch {
    /// Reads what is in parts of `records`.
    ///
    /// # Errors
    /// Those of the store; then nothing is consumed.
    pub async fn read(store: &Store, records: Vec<Record>) -> Result<Self> {
        let (mut batch, mut keys, mut images) = (Self::default(), Vec::with_capacity(records.len()), Vec::new());
        for (place, Record { key, before, after }) in records.into_iter().enumerate() {
            let named = after.as_ref().map(Image::part_keys).unwrap_or_default();
            let parts = before.iter().flat_map(Image::part_keys).filter(|part| !named.contains(part));
            batch.leftovers.extend(parts.map(|part| (place, part)));
            keys.push((key, before.is_some(), after.is_some()));
            images.extend(before.into_iter().chain(after));
        }
        let mut items = store.as_told(images).await?.into_iter();
        for (place, (key, has_before, has_after)) in keys.into_iter().enumerate() {
            let mut next = |is_there: bool| if is_there { items.next().flatten() } else { None };
            let (before, after) = (next(has_before), next(has_after));
            if before.is_some() != has_before || after.is_some() != has_after {
                tracing::info!(pk = key.pk, sk = key.sk, "a change was consumed before, and its parts are deleted");
                continue;
            }
            // The same text written again is in other parts, and no change.
            if before != after || before.is_none() {
                batch.places.push(place);
                batch.changes.push(Change { key, before, after });
            }
        }
        Ok(batch)
    }

    /// Returns the place of the record that told of the change at `place`.
    pub fn record_of(&self, place: usize) -> usize {
        self.places.get(place).copied().unwrap_or_default()
    }

    /// Deletes the parts that no item names since the changes of this batch, but for the record at `first` and later ones.
    ///
    /// What comes after a change that is not consumed is told of again, together with it.
    ///
    /// # Errors
    /// Those of the store; a repeat deletes what is left.
    pub async fn discard(&self, store: &Store, first: Option<usize>) -> Result<()> {
        let is_over = |place: usize| first.is_none_or(|first| place < first);
        let keys: Vec<Key> =
            self.leftovers.iter().filter(|(place, _)| is_over(*place)).map(|(_, key)| key.clone()).collect();
        if keys.is_empty() { Ok(()) } else { store.delete_all(&keys).await }
    }
}

/// An item that was written, and what was there before.
#[derive(Clone, Copy, Debug)]
pub struct Written<'c> {
    /// The item before; none where it was added.
    pub before: Option<&'c Item>,
    /// The item.
    pub after: &'c Item,
}

impl<'c> Written<'c> {
    /// Takes an item that was added.
    pub fn added(after: &'c Item) -> Self {
        Self { before: None, after }
    }
}

fn attributes(attributes: Attributes) -> Result<serde_dynamo::Item> {
    let attributes = attributes.into_iter().map(|(name, value)| Ok((name, serde_json::from_value(value)?)));
    Ok(attributes.collect::<Result<HashMap<String, serde_dynamo::AttributeValue>>>()?.into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn attributes(attributes: Value) -> Attributes {
        serde_json::from_value(attributes).unwrap()
    }

    #[test]
    fn reads_what_was_and_what_is() {
        let keys = || attributes(json!({"pk": {"S": "flow#1"}, "sk": {"S": "flow"}}));
        let image = |version: &str| {
            attributes(json!({
                "pk": {"S": "flow#1"}, "sk": {"S": "flow"}, "version": {"N": version}, "announced": {"N": "3"},
                "head": {"S": "{}"}, "all": {"S": "flows#0"},
            }))
        };
        let change = Change::from_json(keys(), Some(image("2")), Some(image("3"))).unwrap();
        let Written { before: Some(before), after } = change.written().unwrap() else { panic!("{change:?}") };
        assert!(after.is_announced() && !before.is_announced());
        assert_eq!((after.key.pk.as_str(), after.index_keys["collection_pk"].as_str()), ("flow#1", "flows#0"));
        let removal = Change::from_json(keys(), Some(image("3")), None).unwrap();
        assert_eq!(removal.key, change.key);
        assert!(removal.written().is_none());
        assert!(Change::from_json(attributes(json!({"pk": {"S": "flow#1"}})), None, None).is_err());
    }
}
