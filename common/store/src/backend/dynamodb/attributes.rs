//! Items as DynamoDB's attributes.

use std::{collections::HashMap, num::ParseIntError, str::FromStr};

use aws_sdk_dynamodb::types::{AttributeValue, ConsumedCapacity};
use serde::Serialize;

use super::{
    bodies::{CONTENT, Image},
    spelling,
    tallies::COUNTED,
};
use crate::{Item, Key, backend::Position, table};
use error::{Error, Result};

/// The attributes of an item or a key, by their names.
pub(super) type Attributes = HashMap<String, AttributeValue>;

/// Turns a key, an item or anything like them into attributes.
pub(super) fn written<T: Serialize>(value: T) -> Result<Attributes> {
    serde_dynamo::to_item(value).map_err(|error| Error::Internal(format!("an item could not be written: {error}")))
}

/// Turns an item into attributes, with the keys of indexes as they are spelled here.
pub(super) fn written_item(item: &Item) -> Result<Attributes> {
    let mut attributes = written(item)?;
    for (attribute, text) in &item.index_keys {
        attributes.remove(attribute);
        attributes.extend([spelled(attribute, text)]);
    }
    Ok(attributes)
}

/// Returns an attribute of an index's key as it is spelled here.
fn spelled(attribute: &str, text: &str) -> (String, AttributeValue) {
    let (name, text) = spelling::spelled(attribute, text);
    (name.to_owned(), AttributeValue::S(text.into_owned()))
}

/// Reads the attributes of an item; any that is not named below is a key of an index.
///
/// Written out, because a query reads thousands of items and serde would look at every attribute twice.
pub(super) fn read(attributes: Attributes) -> Result<Image> {
    let mut image = Image::from(Item::under(Key { pk: String::new(), sk: String::new() }));
    for (name, value) in attributes {
        let item = &mut image.item;
        match (name.as_str(), value) {
            ("version", AttributeValue::N(number)) => item.version = whole(&number)?,
            ("announced", AttributeValue::N(number)) => item.announced = Some(whole(&number)?),
            (table::EXPIRES, AttributeValue::N(number)) => item.expires = Some(whole(&number)?),
            (table::PARTITION, AttributeValue::S(text)) => item.key.pk = text,
            (table::SORT, AttributeValue::S(text)) => item.key.sk = text,
            ("head" | "tail" | table::BODY, text) => image.take(&name, text)?,
            (COUNTED, mark) => image.mark = Some(mark),
            // What a part holds is asked for by its key ([`content`]).
            (CONTENT, AttributeValue::B(_)) => {}
            (_, AttributeValue::S(text)) => {
                let (attribute, text) = spelling::in_full(name, text);
                item.index_keys.insert(attribute, text);
            }
            _ => return Err(Error::Internal(format!("the attribute {name} of an item is of another type"))),
        }
    }
    Ok(image)
}

/// Reads the key and the content of a part.
pub(super) fn content(mut attributes: Attributes) -> Result<(Key, Vec<u8>)> {
    match (attributes.remove(table::PARTITION), attributes.remove(table::SORT), attributes.remove(CONTENT)) {
        (Some(AttributeValue::S(pk)), Some(AttributeValue::S(sk)), Some(AttributeValue::B(content))) => {
            Ok((Key { pk, sk }, content.into_inner()))
        }
        _ => Err(Error::Internal("a part of a text has no content".into())),
    }
}

/// Turns a position into the start of the next page.
pub(super) fn start(position: Position) -> Attributes {
    position.into_iter().map(|(attribute, text)| spelled(&attribute, &text)).collect()
}

/// Turns the end of a page into a position: every attribute of a key is a text.
pub(super) fn position(key: Attributes) -> Result<Position> {
    let text = |(name, value)| match value {
        AttributeValue::S(text) => Ok(spelling::in_full(name, text)),
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
        let item = Item {
            key: table::csrf_token("client"),
            version: 3,
            announced: Some(2),
            head: Some("h".into()),
            tail: Some("t".into()),
            brief: None,
            expires: Some(-1),
            index_keys: BTreeMap::from([("by_time_sk".to_owned(), "x".to_owned())]),
        };
        assert_eq!(read(written_item(&item).unwrap()).unwrap(), Image::from(item));
        let odd = HashMap::from([("head".to_owned(), AttributeValue::Bool(true))]);
        assert!(read(odd).is_err());
        let no_parts = HashMap::from([("tail".to_owned(), AttributeValue::M(HashMap::new()))]);
        assert!(read(no_parts).is_err());
    }
}
