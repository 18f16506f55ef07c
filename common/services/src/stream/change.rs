//! Changes of items, as DynamoDB's stream tells them.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;

use error::{Error, Result};
use store::{Item, Key};

/// An item's attributes in DynamoDB's JSON, such as `{"pk": {"S": "flow#…"}}`.
pub type Attributes = HashMap<String, Value>;

/// A change of one item.
#[derive(Clone, Debug)]
pub struct Change {
    /// The item's primary key.
    pub key: Key,
    /// The item after the change; none after its removal.
    pub image: Option<Item>,
}

impl Change {
    /// Reads a record's keys and new image.
    ///
    /// # Errors
    /// [`Error::Internal`] if they are not an item of the table.
    pub fn new(keys: Attributes, new_image: Option<Attributes>) -> Result<Self> {
        Ok(Self { key: typed(keys)?, image: new_image.map(typed).transpose()? })
    }
}

fn typed<T: for<'de> Deserialize<'de>>(attributes: Attributes) -> Result<T> {
    let attributes = attributes
        .into_iter()
        .map(|(name, value)| Ok((name, serde_json::from_value(value)?)))
        .collect::<Result<HashMap<String, serde_dynamo::AttributeValue>>>()?;
    serde_dynamo::from_item(serde_dynamo::Item::from(attributes))
        .map_err(|error| Error::Internal(format!("an item could not be read: {error}")))
}

/// What Lambda hands to a function whose event source is the stream (AWS: "Using Lambda with Amazon DynamoDB").
#[derive(Clone, Debug, Deserialize)]
pub struct LambdaEvent {
    /// The changes, in the order of their writes for each item.
    #[serde(rename = "Records")]
    pub records: Vec<LambdaRecord>,
}

/// One record of a [`LambdaEvent`].
#[derive(Clone, Debug, Deserialize)]
pub struct LambdaRecord {
    /// The change.
    pub dynamodb: StreamRecord,
}

/// A change in DynamoDB's own form (`StreamRecord` in its API reference).
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct StreamRecord {
    /// The item's primary key.
    pub keys: Attributes,
    /// The item after the change; none after its removal.
    pub new_image: Option<Attributes>,
    /// What tells the record in its shard.
    pub sequence_number: String,
}

impl TryFrom<StreamRecord> for Change {
    type Error = Error;

    fn try_from(record: StreamRecord) -> Result<Self> {
        Self::new(record.keys, record.new_image)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_what_lambda_hands_over() {
        let event: LambdaEvent = serde_json::from_value(json!({"Records": [
            {
                "eventID": "1", "eventName": "MODIFY", "eventSource": "aws:dynamodb",
                "dynamodb": {
                    "ApproximateCreationDateTime": 1_479_499_740,
                    "Keys": {"pk": {"S": "flow#1"}, "sk": {"S": "flow"}},
                    "NewImage": {
                        "pk": {"S": "flow#1"}, "sk": {"S": "flow"}, "version": {"N": "3"}, "transition": {"N": "3"},
                        "head": {"S": "{}"}, "collection_pk": {"S": "flows#0"},
                    },
                    "SequenceNumber": "13021600000000001596893679", "SizeBytes": 112,
                    "StreamViewType": "NEW_IMAGE",
                },
            },
            {
                "eventName": "REMOVE",
                "dynamodb": {"Keys": {"pk": {"S": "flow#2"}, "sk": {"S": "flow"}}, "SequenceNumber": "2"},
            },
        ]}))
        .unwrap();
        let changes: Vec<Change> =
            event.records.into_iter().map(|record| record.dynamodb.try_into().unwrap()).collect();
        let image = changes[0].image.as_ref().unwrap();
        assert!(image.has_new_state());
        assert_eq!((image.key.pk.as_str(), image.index_keys["collection_pk"].as_str()), ("flow#1", "flows#0"));
        assert_eq!(changes[1].key.pk, "flow#2");
        assert!(changes[1].image.is_none());
    }

    #[test]
    fn refuses_what_is_no_item() {
        assert!(Change::new(Attributes::new(), None).is_err());
        let number = Attributes::from([("pk".into(), json!("flow#1")), ("sk".into(), json!({"S": "flow"}))]);
        assert!(Change::new(number, None).is_err());
    }
}
