//! The request that makes the table, as [`crate::table`] declares it.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::{
    error::BuildError,
    types::{
        AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, ProjectionType,
        ScalarAttributeType, StreamSpecification, StreamViewType,
    },
};

use super::spelling::attribute_name;
use crate::table::{Index, PARTITION, Projection, SORT};

/// Returns the attributes that DynamoDB keeps in `index` besides keys ([`is_head_kept`](crate::table::is_head_kept)).
pub fn kept(index: Index) -> &'static [&'static str] {
    match index.projection() {
        Projection::Head => &["head"],
        Projection::All | Projection::Orders | Projection::Keys | Projection::Fetched => &[],
    }
}

/// Returns the request that makes the table `name`, as the infrastructure template declares it.
///
/// # Errors
/// Only if the SDK refuses a definition that this file holds.
pub fn definition(
    client: &aws_sdk_dynamodb::Client,
    name: &str,
) -> Result<aws_sdk_dynamodb::operation::create_table::builders::CreateTableFluentBuilder, BuildError> {
    let mut request = client
        .create_table()
        .table_name(name)
        .billing_mode(BillingMode::PayPerRequest)
        .set_key_schema(Some(key_schema(PARTITION, SORT)?))
        .attribute_definitions(text_attribute(PARTITION)?)
        .attribute_definitions(text_attribute(SORT)?)
        .stream_specification(
            StreamSpecification::builder()
                .stream_enabled(true)
                .stream_view_type(StreamViewType::NewAndOldImages)
                .build()?,
        );
    let keys: BTreeSet<String> = Index::ALL.into_iter().flat_map(|index| [index.partition(), index.sort()]).collect();
    for key in keys {
        request = request.attribute_definitions(text_attribute(attribute_name(&key))?);
    }
    for index in Index::ALL {
        let projection = aws_sdk_dynamodb::types::Projection::builder();
        let projection = match kept(index) {
            [] => projection.projection_type(ProjectionType::KeysOnly),
            kept => projection
                .projection_type(ProjectionType::Include)
                .set_non_key_attributes(Some(kept.iter().copied().map(str::to_owned).collect())),
        };
        request = request.global_secondary_indexes(
            GlobalSecondaryIndex::builder()
                .index_name(index.name())
                .set_key_schema(Some(key_schema(attribute_name(&index.partition()), attribute_name(&index.sort()))?))
                .projection(projection.build())
                .build()?,
        );
    }
    Ok(request)
}

fn key_schema(partition: &str, sort: &str) -> Result<Vec<KeySchemaElement>, BuildError> {
    Ok(vec![
        KeySchemaElement::builder().attribute_name(partition).key_type(KeyType::Hash).build()?,
        KeySchemaElement::builder().attribute_name(sort).key_type(KeyType::Range).build()?,
    ])
}

fn text_attribute(name: &str) -> Result<AttributeDefinition, BuildError> {
    AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S).build()
}
