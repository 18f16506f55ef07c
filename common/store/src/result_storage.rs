//! The server's default result storage in the table: one item.

use super::{
    Item, Key, Record, Store, TableAccess, Versioned, Write,
    commit::retry_on_conflict,
    table::{self, IndexKey, Shards},
};
use domain::model::{BlockDocumentId, ResultStorage};
use error::Result;

crate::json_record!(ResultStorage);

impl Record for ResultStorage {
    const HEAD: &'static [&'static str] = &["default_result_storage_block_id"];

    fn key(&self) -> Key {
        table::result_storage()
    }

    fn index_keys(&self, _shards: Shards) -> Vec<IndexKey> {
        Vec::new()
    }
}

/// What [`Store::set_result_storage`] and [`Store::clear_result_storage`] touch.
pub const SET: TableAccess = TableAccess::WRITES;

impl Store {
    /// Reads which block stores results by default; whether it is still there is not looked at.
    pub async fn result_storage(&self) -> Result<ResultStorage> {
        let found = self.get::<ResultStorage>(&table::result_storage()).await?;
        Ok(found.map(|found| found.record).unwrap_or_default())
    }

    /// Has the block `document` store results by default, whichever did before.
    pub async fn set_result_storage(&self, document: BlockDocumentId) -> Result<ResultStorage> {
        let storage = ResultStorage { default_result_storage_block_id: Some(document) };
        retry_on_conflict(|| async {
            let write = match self.get::<ResultStorage>(&table::result_storage()).await? {
                Some(Versioned { record, .. }) if record == storage => return Ok(storage),
                Some(Versioned { version, .. }) => self.replace(&storage, version)?,
                None => Write::Insert(Item::of(&storage, 1, self.shards())?),
            };
            self.commit(vec![write]).await?;
            Ok(storage)
        })
        .await
    }

    /// Has no block store results by default.
    pub async fn clear_result_storage(&self) -> Result<()> {
        self.commit(vec![Write::Delete(table::result_storage())]).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use embedded::EmbeddedDatabase;

    use super::*;

    #[tokio::test]
    async fn is_what_was_set_last_until_it_is_cleared() {
        let config = EmbeddedDatabase::in_memory().unwrap().sdk_config();
        let store = Store::new(aws_sdk_dynamodb::Client::from_conf(config), "proctor-records", Shards(1));
        store.create_table().await.unwrap();
        assert_eq!(store.result_storage().await.unwrap(), ResultStorage::default());
        let [first, last] = [BlockDocumentId::new(), BlockDocumentId::new()];
        for document in [first, first, last] {
            store.set_result_storage(document).await.unwrap();
            let set = store.result_storage().await.unwrap();
            assert_eq!(set.default_result_storage_block_id, Some(document));
        }
        for _ in 0..2 {
            store.clear_result_storage().await.unwrap();
            assert_eq!(store.result_storage().await.unwrap(), ResultStorage::default());
        }
    }
}
