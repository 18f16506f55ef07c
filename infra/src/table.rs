//! The table, as `common` declares it.

use aws_sdk_dynamodb::{
    Client, Config,
    config::BehaviorVersion,
    types::{GlobalSecondaryIndex, KeySchemaElement, Projection, ProjectionType, StreamViewType},
};
use common::store::{backend::table_definition, table};
use serde_json::{Map, Value, json};

use crate::{only_if, reference};

/// Declares the table, for the root stack.
///
/// # Panics
/// If the definition in `common` is not one that the SDK takes.
pub(crate) fn resource() -> Value {
    let client = Client::from_conf(Config::builder().behavior_version(BehaviorVersion::latest()).build());
    #[allow(clippy::expect_used, reason = "the definition is a constant of the code, and a test renders it")]
    let definition = table_definition(&client, "any").expect("the SDK takes the definition");
    let attributes = definition.get_attribute_definitions().iter().flatten().map(|attribute| {
        json!({
            "AttributeName": attribute.attribute_name(),
            "AttributeType": attribute.attribute_type().as_str()
        })
    });
    let stream = definition.get_stream_specification().as_ref().and_then(|stream| stream.stream_view_type());
    json!({
        "Type": "AWS::DynamoDB::Table",
        "DeletionPolicy": "Retain",
        "UpdateReplacePolicy": "Retain",
        "Properties": {
            "BillingMode": reference("TableBilling"),
            "ProvisionedThroughput": throughput(),
            "AttributeDefinitions": attributes.collect::<Vec<_>>(),
            "KeySchema": key_schema(definition.get_key_schema().iter().flatten()),
            "GlobalSecondaryIndexes":
                definition.get_global_secondary_indexes().iter().flatten().map(index).collect::<Vec<_>>(),
            "StreamSpecification": { "StreamViewType": stream.map(StreamViewType::as_str) },
            "TimeToLiveSpecification": { "AttributeName": table::EXPIRES, "Enabled": true },
            "PointInTimeRecoverySpecification": { "PointInTimeRecoveryEnabled": true },
            "DeletionProtectionEnabled": { "Fn::If": ["IsProtected", true, false] }
        }
    })
}

fn index(index: &GlobalSecondaryIndex) -> Value {
    json!({
        "IndexName": index.index_name(),
        "KeySchema": key_schema(index.key_schema()),
        "Projection": index.projection().map(projection),
        "ProvisionedThroughput": throughput()
    })
}

fn projection(projection: &Projection) -> Value {
    let kind = projection.projection_type().map(ProjectionType::as_str);
    let mut rendered = Map::from_iter([("ProjectionType".to_owned(), json!(kind))]);
    if !projection.non_key_attributes().is_empty() {
        rendered.insert("NonKeyAttributes".into(), json!(projection.non_key_attributes()));
    }
    rendered.into()
}

fn key_schema<'k>(keys: impl IntoIterator<Item = &'k KeySchemaElement>) -> Value {
    let key =
        |key: &KeySchemaElement| json!({ "AttributeName": key.attribute_name(), "KeyType": key.key_type().as_str() });
    keys.into_iter().map(key).collect()
}

fn throughput() -> Value {
    let units = json!({
        "ReadCapacityUnits": reference("ReadCapacity"),
        "WriteCapacityUnits": reference("WriteCapacity")
    });
    only_if("IsProvisioned", &units)
}
