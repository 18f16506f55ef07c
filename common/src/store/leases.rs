//! Leases in the table.

use super::{
    Item, Key, Record, Store, Write,
    commit::until_uncontended,
    table::{self, Place, Shards},
};
use crate::{
    error::Result,
    model::{Lease, LeaseId, Timestamp},
};

impl Record for Lease {
    const HEAD: &'static [&'static str] = &["id", "expiration", "slots", "holder"];

    fn key(&self) -> Key {
        table::lease(self.id)
    }

    fn places(&self, _shards: Shards) -> Vec<Place> {
        Vec::new()
    }
}

impl Store {
    /// Adds `lease`.
    pub async fn add_lease(&self, lease: &Lease) -> Result<()> {
        self.commit(vec![Write::Insert(self.lease_item(lease, 1)?)]).await?;
        Ok(())
    }

    /// Lets the lease `id` last `seconds` from `now` on; returns whether it still held.
    pub async fn renew_lease(&self, id: LeaseId, now: Timestamp, seconds: f64) -> Result<bool> {
        until_uncontended(|| async {
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

    /// Deletes the lease `id`, if there is one.
    pub async fn delete_lease(&self, id: LeaseId) -> Result<()> {
        self.commit(vec![Write::Delete(table::lease(id))]).await?;
        Ok(())
    }

    fn lease_item(&self, lease: &Lease, version: u64) -> Result<Item> {
        let mut item = Item::of(lease, version, self.shards())?;
        item.expires = Some(lease.expiration.as_seconds());
        Ok(item)
    }
}
