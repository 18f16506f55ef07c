//! Changes of items, as DynamoDB's stream tells them.

use std::collections::HashMap;

use error::{Error, Result};
use serde_json::Value;
use store::{Item, Key};

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
    /// Reads a record's keys, its old and its new image.
    ///
    /// # Errors
    /// [`Error::Internal`] if they are not an item of the table.
    pub fn new(
        keys: serde_dynamo::Item,
        old_image: Option<serde_dynamo::Item>,
        new_image: Option<serde_dynamo::Item>,
    ) -> Result<Self> {
        let read = |image: Option<serde_dynamo::Item>| image.map(typed).transpose();
        Ok(Self { key: typed(keys)?, before: read(old_image)?, after: read(new_image)? })
    }

    /// Reads a record's keys, its old and its new image in DynamoDB's JSON.
    ///
    /// # Errors
    /// [`Error::Internal`] if they are not an item of the table.
    pub fn from_json(keys: Attributes, old_image: Option<Attributes>, new_image: Option<Attributes>) -> Result<Self> {
        let read = |image: Option<Attributes>| image.map(attributes).transpose();
        Self::new(attributes(keys)?, read(old_image)?, read(new_image)?)
    }

    /// Returns what was written, if the change is no removal.
    pub fn written(&self) -> Option<Written<'_>> {
        self.after.as_ref().map(|after| Written { before: self.before.as_ref(), after })
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

fn typed<T: for<'de> serde::Deserialize<'de>>(attributes: serde_dynamo::Item) -> Result<T> {
    serde_dynamo::from_item(attributes).map_err(|error| Error::Internal(format!("an item could not be read: {error}")))
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
                "head": {"S": "{}"}, "collection_pk": {"S": "flows#0"},
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
