//! Data keys in the table, each of them wrapped by the master key.

use serde::{Deserialize, Serialize};

use domain::model::{DataKey, DataKeyId};
use error::Result;

use super::{
    CommitError, Key, Record, Store, TableAccess, Versioned, Write,
    query::Range,
    table::{self, IndexKey, Shards},
};

crate::json_record!(DataKey);

impl Record for DataKey {
    const HEAD: &'static [&'static str] = &["id", "created", "master"];

    fn key(&self) -> Key {
        table::data_key(self.id)
    }

    fn index_keys(&self, _shards: Shards) -> Vec<IndexKey> {
        Vec::new()
    }
}

/// Says which data key is in use: what is sealed anew is sealed with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CurrentDataKey {
    /// The key's id.
    pub id: DataKeyId,
}

crate::json_record!(CurrentDataKey);

impl Record for CurrentDataKey {
    const HEAD: &'static [&'static str] = &["id"];

    fn key(&self) -> Key {
        table::current_data_key()
    }

    fn index_keys(&self, _shards: Shards) -> Vec<IndexKey> {
        Vec::new()
    }
}

/// What [`Store::data_keys`] touches.
pub const ALL: TableAccess = TableAccess::READS;

impl Store {
    /// Reads the data key `id`, as it is wrapped.
    pub async fn data_key(&self, id: DataKeyId) -> Result<Option<DataKey>> {
        Ok(self.get(&table::data_key(id)).await?.map(|found| found.record))
    }

    /// Reads which data key is in use; nothing where none was ever made.
    pub async fn current_data_key(&self) -> Result<Option<Versioned<CurrentDataKey>>> {
        self.get(&table::current_data_key()).await
    }

    /// Adds `key` and has it used in the place of the one that was in use in this `version`; returns whether it is.
    ///
    /// Another process may have come first: then nothing is written.
    pub async fn put_in_use(&self, key: &DataKey, version: Option<u64>) -> Result<bool> {
        let current = CurrentDataKey { id: key.id };
        let put = match version {
            None => self.insert(&current)?,
            Some(version) => self.replace(&current, version)?,
        };
        match self.commit(vec![self.insert(key)?, put]).await {
            Ok(()) => Ok(true),
            // With our id, the write before was carried out, only its answer was lost.
            Err(CommitError::ConditionFailed(_) | CommitError::Contended) => {
                Ok(self.current_data_key().await?.is_some_and(|current| current.record.id == key.id))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Returns all data keys, the oldest first.
    pub async fn data_keys(&self) -> Result<Vec<DataKey>> {
        let keys = Range::partition(table::current_data_key().pk).starting_with(table::DATA_KEYS);
        self.read_all(keys).await?.iter().map(super::Item::record).collect()
    }

    /// Forgets that any data key was ever in use, with `keys`, which are all there are.
    pub async fn forget_all_data_keys(&self, keys: &[DataKeyId]) -> Result<()> {
        let keys: Vec<Key> = keys.iter().copied().map(table::data_key).chain([table::current_data_key()]).collect();
        self.delete_all(&keys).await
    }

    /// Forgets the data key `id`: what is sealed with it can't be opened any more.
    pub async fn forget_data_key(&self, id: DataKeyId) -> Result<()> {
        Ok(self.commit(vec![Write::Delete(table::data_key(id))]).await?)
    }
}
