//! Leases in the table.

use super::{
    Item, Key, Record, Store, Write,
    commit::retry_on_conflict,
    table::{self, Collection, Index, IndexKey, Shards},
};
use domain::model::{Lease, LeaseId, Timestamp};
use error::Result;

crate::json_record!(Lease);

impl Record for Lease {
    const HEAD: &'static [&'static str] = &["id", "expiration", "slots", "holder", "created", "limits", "is_listed"];

    fn key(&self) -> Key {
        table::lease(self.id)
    }

    fn index_keys(&self, shards: Shards) -> Vec<IndexKey> {
        if self.limits.is_empty() {
            return Vec::new();
        }
        // When it ends, its slots are given back.
        let sk = table::sort_with_id(&self.expiration.sortable(), self.id);
        vec![IndexKey { index: Index::Related, pk: shards.of(Collection::Timers, self.id.0), sk }]
    }
}

impl Store {
    /// Lets the lease `id` last `seconds` from `now` on; returns whether it still held.
    pub async fn renew_lease(&self, id: LeaseId, now: Timestamp, seconds: f64) -> Result<bool> {
        retry_on_conflict(|| async {
            let Some(mut lease) = self.get::<Lease>(&table::lease(id)).await? else { return Ok(false) };
            if lease.record.expiration <= now {
                return Ok(false);
            }
            lease.record.expiration = now.plus_seconds(seconds);
            self.commit(vec![Write::Replace(self.lease_item(&lease.record, lease.version + 1)?)]).await?;
            Ok(true)
        })
        .await
    }

    /// Makes the item of `lease`, which goes by itself at its end only if it holds no slots.
    pub(super) fn lease_item(&self, lease: &Lease, version: u64) -> Result<Item> {
        let mut item = Item::of(lease, version, self.shards())?;
        if lease.limits.is_empty() {
            item.expires = Some(lease.expiration.as_seconds());
        }
        Ok(item)
    }
}
