//! DynamoDB: the table in the cloud, and the emulator where DynamoDB itself is meant.

mod attempts;
mod attributes;
pub(crate) mod bodies;
pub(crate) mod definition;
mod deflate;
mod failure;
mod parts;
mod reads;
pub(crate) mod spelling;
mod tallies;
mod writes;

use std::{fmt, sync::Arc};

use aws_sdk_dynamodb::{
    Client,
    error::ProvideErrorMetadata,
    types::{TableStatus, TimeToLiveSpecification},
};
use futures::future::BoxFuture;

pub use self::bodies::Image;
use self::failure::failure;
use super::{Backend, Consistency, Metered, Page, Position, Query, Spent};
use crate::{
    CommitError, Item, Key, Write,
    query::Range,
    table::{self, Projection},
    tallies::{CountedBatch, Tallied, TallyRange},
};
use error::{Error, Result};

/// How often an answer that leaves something unprocessed is asked again before the table counts as unavailable.
const UNPROCESSED_RETRIES: u32 = 6;

/// A table of DynamoDB.
#[derive(Clone)]
pub struct DynamoDb {
    client: Client,
    table: Arc<str>,
    completeness: tallies::Completeness,
}

impl fmt::Debug for DynamoDb {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("DynamoDb").field(&self.table).finish()
    }
}

impl DynamoDb {
    /// Takes a client, and the table's name.
    pub fn new(client: Client, table: &str) -> Self {
        Self { client, table: table.into(), completeness: tallies::Completeness::default() }
    }

    async fn make_table(&self) -> Result<()> {
        let request = definition::definition(&self.client, &self.table)
            .map_err(|error| Error::Internal(format!("the table's definition is wrong: {error}")))?;
        match request.send().await {
            Ok(_) => {}
            Err(error) if error.code() == Some("ResourceInUseException") => return Ok(()),
            Err(error) => return Err(failure(&error)),
        }
        let expiry = TimeToLiveSpecification::builder()
            .enabled(true)
            .attribute_name(table::EXPIRES)
            .build()
            .map_err(|error| Error::Internal(error.to_string()))?;
        self.client
            .update_time_to_live()
            .table_name(&*self.table)
            .time_to_live_specification(expiry)
            .send()
            .await
            .map_err(|error| failure(&error))?;
        Ok(())
    }
}

impl Backend for DynamoDb {
    fn get<'a>(&'a self, keys: &'a [&'a Key], consistency: Consistency) -> BoxFuture<'a, Result<Metered<Vec<Item>>>> {
        Box::pin(async move {
            match keys {
                [key] if consistency == Consistency::Strong => self.get_one(key).await,
                keys => self.get_batch(keys, consistency).await,
            }
        })
    }

    fn query<'a>(&'a self, query: &'a Query<'a>) -> BoxFuture<'a, Result<Metered<Page>>> {
        Box::pin(self.page_of(query))
    }

    fn carried(&self, range: &Range) -> Projection {
        reads::carried(range)
    }

    fn are_transactions_dear(&self) -> bool {
        true
    }

    fn write(&self, writes: Vec<Write>) -> BoxFuture<'_, Result<Spent, CommitError>> {
        Box::pin(self.write_together(writes))
    }

    fn write_many(&self, writes: Vec<Write>) -> BoxFuture<'_, Result<Spent>> {
        Box::pin(self.write_batch(writes))
    }

    fn as_told(&self, images: Vec<Image>) -> BoxFuture<'_, Result<Metered<Vec<Option<Item>>>>> {
        Box::pin(self.stream_images(images))
    }

    fn named_parts<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Vec<Key>>> {
        Box::pin(self.parts_named_by(key))
    }

    fn walk(&self, start: Option<Position>, limit: usize) -> BoxFuture<'_, Result<Metered<Page>>> {
        Box::pin(self.page_of_all(start, limit))
    }

    fn tallies<'a>(&'a self, ranges: &'a [TallyRange]) -> BoxFuture<'a, Result<Metered<Option<Tallied>>>> {
        Box::pin(self.tallied(ranges))
    }

    fn count<'a>(&'a self, batch: &'a CountedBatch) -> BoxFuture<'a, Result<Spent>> {
        Box::pin(self.count_batch(batch))
    }

    fn mark_counted<'a>(&'a self, keys: &'a [Key]) -> BoxFuture<'a, Result<Metered<usize>>> {
        Box::pin(self.mark(keys))
    }

    fn create(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.make_table())
    }

    fn is_ready(&self) -> BoxFuture<'_, Result<bool>> {
        Box::pin(async move {
            let answer =
                self.client.describe_table().table_name(&*self.table).send().await.map_err(|error| failure(&error))?;
            let status = answer.table().and_then(|table| table.table_status());
            Ok(status == Some(&TableStatus::Active))
        })
    }

    /// DynamoDB counts anew every six hours.
    fn approximate_item_count(&self) -> BoxFuture<'_, Option<u64>> {
        Box::pin(async move {
            let described = self.client.describe_table().table_name(&*self.table).send().await.ok()?;
            described.table()?.item_count()?.try_into().ok()
        })
    }
}

#[cfg(test)]
mod tests {
    use embedded::EmbeddedDatabase;

    use super::*;

    #[tokio::test]
    async fn a_failure_is_told_in_one_line_without_the_answer() {
        let config = EmbeddedDatabase::in_memory().unwrap().sdk_config();
        let table = DynamoDb::new(Client::from_conf(config), "proctor-records");
        let Err(Error::Internal(told)) = table.is_ready().await else { panic!("there is no table") };
        assert!(told.starts_with("ResourceNotFoundException: "), "{told}");
        assert!(!told.contains('\n') && !told.contains("Response {") && !told.contains("SdkBody"), "{told}");
        assert_eq!(table.approximate_item_count().await, None);
        table.create().await.unwrap();
        assert_eq!(table.approximate_item_count().await, Some(0));
    }
}
