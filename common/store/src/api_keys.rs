//! API keys in the table.

use super::{
    Item, Key, Record, Store, TableAccess, Write,
    commit::retry_on_conflict,
    entity::Each,
    query::{Direction, Range},
    select::{Source, Window},
    table::{self, Collection, Index, IndexKey, Shards},
};
use domain::model::{ApiKey, ApiKeyId, Timestamp};
use error::{Error, Result};

/// How long the record of a key that is over is kept, for those who ask what became of it, in seconds.
const KEPT_SECONDS: f64 = 90.0 * 86_400.0;

/// All keys are in one partition of the index: they are few, and listed by people alone.
const SHARDS: Shards = Shards(1);

crate::json_record!(ApiKey);

impl Record for ApiKey {
    const HEAD: &'static [&'static str] = &["id", "created", "name", "role", "digest", "expiration", "revoked"];

    fn key(&self) -> Key {
        table::api_key(self.id)
    }

    fn index_keys(&self, _shards: Shards) -> Vec<IndexKey> {
        let pk = SHARDS.of(Collection::ApiKeys, self.id.0);
        vec![IndexKey { index: Index::Lookup, pk, sk: table::sort_with_id(&self.created.sortable(), self.id) }]
    }
}

/// What [`Store::page_of_api_keys`] touches.
pub const PAGE: TableAccess = TableAccess::READS.via(&[Index::Lookup]);

impl Store {
    /// Reads the record of the key `id`.
    pub async fn api_key(&self, id: ApiKeyId) -> Result<Option<ApiKey>> {
        Ok(self.get::<ApiKey>(&table::api_key(id)).await?.map(|key| key.record))
    }

    /// Adds the record of a new key.
    pub async fn add_api_key(&self, key: &ApiKey) -> Result<()> {
        Ok(self.commit(vec![Write::Insert(self.api_key_item(key, 1)?)]).await?)
    }

    /// Returns the records of the keys within `window`, the newest first.
    pub async fn page_of_api_keys(&self, window: Window) -> Result<Vec<ApiKey>> {
        let all = self.range_of_api_keys().in_direction(Direction::Descending);
        let newest_first = |one: &ApiKey, other: &ApiKey| (other.created, other.id).cmp(&(one.created, one.id));
        self.select(Source::Ordered(all), &mut Each::all(), newest_first, window).await
    }

    fn range_of_api_keys(&self) -> Range {
        let mut range = Range::all(self, Index::Lookup, Collection::ApiKeys);
        range.partitions = SHARDS.all(Collection::ApiKeys);
        range
    }

    /// Reads the records of all keys, oldest first.
    pub async fn api_keys(&self) -> Result<Vec<ApiKey>> {
        let mut reader = self.read(self.range_of_api_keys(), usize::MAX);
        let mut keys = Vec::new();
        while let Some(items) = reader.more().await? {
            let found: Vec<Key> = items.into_iter().map(|item| item.key).collect();
            keys.extend(self.get_many::<ApiKey>(&found).await?.into_iter().map(|key| key.record));
        }
        Ok(keys)
    }

    /// Lets the key `id` be over from `expiration` on.
    ///
    /// # Errors
    /// [`Error::NotFound`] without such a key.
    pub async fn expire_api_key(&self, id: ApiKeyId, expiration: Timestamp) -> Result<ApiKey> {
        self.change_api_key(id, |key| key.expiration = Some(expiration)).await
    }

    /// Revokes the key `id` at `now`, unless it is revoked already.
    ///
    /// # Errors
    /// [`Error::NotFound`] without such a key.
    pub async fn revoke_api_key(&self, id: ApiKeyId, now: Timestamp) -> Result<ApiKey> {
        self.change_api_key(id, |key| key.revoked = key.revoked.or(Some(now))).await
    }

    async fn change_api_key(&self, id: ApiKeyId, change: impl Fn(&mut ApiKey)) -> Result<ApiKey> {
        retry_on_conflict(|| async {
            let found = self.get::<ApiKey>(&table::api_key(id)).await?;
            let found = found.ok_or_else(|| Error::not_found("API key"))?;
            let mut key = found.record.clone();
            change(&mut key);
            if key != found.record {
                self.commit(vec![Write::Replace(self.api_key_item(&key, found.version + 1)?)]).await?;
            }
            Ok(key)
        })
        .await
    }

    fn api_key_item(&self, key: &ApiKey, version: u64) -> Result<Item> {
        let mut item = Item::of(key, version, self.shards())?;
        let over = [key.revoked, key.expiration].into_iter().flatten().min();
        item.expires = over.map(|time| time.plus_seconds(KEPT_SECONDS).as_seconds());
        Ok(item)
    }
}
