//! Items as DynamoDB's attributes.

use std::{collections::HashMap, num::ParseIntError, str::FromStr};

use aws_sdk_dynamodb::types::{AttributeValue, ConsumedCapacity};
use serde::Serialize;

use crate::{Item, Key, backend::Position, table};
use error::{Error, Result};

/// Turns a key or anything like it into attributes.
pub(super) fn written<T: Serialize>(value: T) -> Result<HashMap<String, AttributeValue>> {
    serde_dynamo::to_item(value).map_err(|error| Error::Internal(format!("an item could not be written: {error}")))
}

/// Turns an item into attributes, without its `brief`, for no index would keep it.
pub(super) fn written_item(item: &Item) -> Result<HashMap<String, AttributeValue>> {
    let mut attributes = written(item)?;
    attributes.remove(table::BRIEF);
    if item.index_keys.get(table::SHARD).is_some_and(|partition| !table::is_head_kept(partition))
        && let Some(head) = attributes.remove("head")
    {
        attributes.insert(table::OWN_HEAD.to_owned(), head);
    }
    Ok(attributes)
}

/// Reads the attributes of an item; any that is not named below is a key of an index.
///
/// Written out, because a query reads thousands of items and serde would look at every attribute twice.
pub(super) fn read(attributes: HashMap<String, AttributeValue>) -> Result<Item> {
    let mut item = Item::under(Key { pk: String::new(), sk: String::new() });
    for (name, value) in attributes {
        match (name.as_str(), value) {
            ("version", AttributeValue::N(number)) => item.version = whole(&number)?,
            ("announced", AttributeValue::N(number)) => item.announced = Some(whole(&number)?),
            (table::EXPIRES, AttributeValue::N(number)) => item.expires = Some(whole(&number)?),
            (table::PARTITION, AttributeValue::S(text)) => item.key.pk = text,
            (table::SORT, AttributeValue::S(text)) => item.key.sk = text,
            ("head" | table::OWN_HEAD, AttributeValue::S(text)) => item.head = Some(text),
            ("tail", AttributeValue::S(text)) => item.tail = Some(text),
            (_, AttributeValue::S(text)) => {
                item.index_keys.insert(name, text);
            }
            _ => return Err(Error::Internal(format!("the attribute {name} of an item is of another type"))),
        }
    }
    Ok(item)
}

/// Turns a position into the start of the next page.
pub(super) fn start(position: Position) -> HashMap<String, AttributeValue> {
    position.into_iter().map(|(name, text)| (name, AttributeValue::S(text))).collect()
}

/// Turns the end of a page into a position: every attribute of a key is a text.
pub(super) fn position(key: HashMap<String, AttributeValue>) -> Result<Position> {
    let text = |(name, value)| match value {
        AttributeValue::S(text) => Ok((name, text)),
        _ => Err(Error::Internal(format!("the attribute {name} of a key is no text"))),
    };
    key.into_iter().map(text).collect()
}

/// Adds up the units that were consumed.
pub(super) fn units(capacity: &[ConsumedCapacity]) -> f64 {
    capacity.iter().filter_map(|consumed| consumed.capacity_units).sum()
}

fn whole<N: FromStr<Err = ParseIntError>>(number: &str) -> Result<N> {
    number.parse().map_err(|error| Error::Internal(format!("an item's number could not be read: {error}")))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn every_attribute_that_is_written_is_read() {
        for (collection, name) in [("flow_runs#3", table::OWN_HEAD), ("logs#3", "head")] {
            let item = Item {
                key: table::csrf_token("client"),
                version: 3,
                announced: Some(2),
                head: Some("h".into()),
                tail: Some("t".into()),
                brief: None,
                expires: Some(-1),
                index_keys: BTreeMap::from([("collection_pk".to_owned(), collection.to_owned())]),
            };
            let written = written_item(&item).unwrap();
            assert!(written.contains_key(name));
            assert_eq!(read(written.clone()).unwrap(), item);
            assert_eq!(serde_dynamo::from_item::<_, Item>(written).unwrap(), item, "in the stream");
        }
        let odd = HashMap::from([("head".to_owned(), AttributeValue::Bool(true))]);
        assert!(read(odd).is_err());
    }
}
