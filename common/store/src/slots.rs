//! The slots that one transition takes, gives back and holds on to, as writes for its transaction.
//!
//! Several parts of a plan may be about one limit, whose item a transaction can write but once: so they are done to
//! what was read, one after the other, and written in the end.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    Key, Record, Store, Versioned, Write,
    backend::LARGEST_TRANSACTION,
    query::Range,
    table::{self, IndexKey, Shards},
};
use domain::model::{
    ConcurrencyLimit, ConcurrencyLimitId, Lease, LeaseId, TaskRunId, Timestamp, concurrency_limit::LongestWaits,
};
use error::Result;

/// Says that a task run holds a lease, in the run's own partition, where it is seen as soon as it is written.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct HeldLease {
    run: TaskRunId,
    lease: LeaseId,
}

crate::json_record!(HeldLease);

impl Record for HeldLease {
    const HEAD: &'static [&'static str] = &["run", "lease"];

    fn key(&self) -> Key {
        table::held_lease(self.run, self.lease)
    }

    fn index_keys(&self, _shards: Shards) -> Vec<IndexKey> {
        Vec::new()
    }
}

/// Says that a lease holds slots of a limit, in the limit's own partition, where it is seen as soon as it is written.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ListedLease {
    limit: ConcurrencyLimitId,
    lease: LeaseId,
}

crate::json_record!(ListedLease);

impl Record for ListedLease {
    const HEAD: &'static [&'static str] = &["limit", "lease"];

    fn key(&self) -> Key {
        table::listed_lease(self.limit, self.lease)
    }

    fn index_keys(&self, _shards: Shards) -> Vec<IndexKey> {
        Vec::new()
    }
}

impl Store {
    /// Reads the leases that `limit` lists, also those that have expired and are not given back yet.
    pub(super) async fn leases_on(&self, limit: ConcurrencyLimitId) -> Result<Vec<Versioned<Lease>>> {
        let range = Range::partition(table::concurrency_limit(limit).pk).starting_with(table::LEASES);
        let items = self.read_all(range).await?;
        let listed = items.iter().filter_map(|item| Some(table::lease(item.readable::<ListedLease>()?.lease)));
        self.get_all(&listed.collect::<Vec<_>>()).await
    }

    /// Returns the writes that add `lease`, and have it listed where it is to be.
    pub(super) fn lease_additions(&self, lease: &Lease) -> Result<Vec<Write>> {
        let mut writes = vec![Write::Insert(self.lease_item(lease, 1)?)];
        if lease.is_listed {
            for &limit in &lease.limits {
                writes.push(Write::Put(self.item(&ListedLease { limit, lease: lease.id }, 1)?));
            }
            if let Some(run) = lease.task_run() {
                writes.push(Write::Put(self.item(&HeldLease { run, lease: lease.id }, 1)?));
            }
        }
        Ok(writes)
    }

    /// Returns the writes that delete `lease`, which was read at `version`, and no longer have it listed.
    pub(super) fn lease_deletions(lease: &Lease, version: u64) -> Vec<Write> {
        let mut writes = vec![Write::DeleteVersion(table::lease(lease.id), version)];
        if lease.is_listed {
            writes.extend(lease.limits.iter().map(|limit| Write::Delete(table::listed_lease(*limit, lease.id))));
            writes.extend(lease.task_run().map(|run| Write::Delete(table::held_lease(run, lease.id))));
        }
        writes
    }

    /// Reads the ids of the leases on slots of tags' limits that a task run holds.
    pub async fn leases_held_by(&self, run: TaskRunId) -> Result<Vec<LeaseId>> {
        let range = Range::partition(table::task_run(run).pk).starting_with(table::LEASES);
        let items = self.read_all(range).await?;
        Ok(items.iter().filter_map(|item| Some(item.readable::<HeldLease>()?.lease)).collect())
    }
}

/// How many of a transaction's writes the slots may take: it also writes the run, its state, and what belongs to these.
const MOST_WRITES: usize = LARGEST_TRANSACTION - 20;

/// Limits and leases, as a transition leaves them.
pub struct Slots<'s> {
    store: &'s Store,
    now: Timestamp,
    longest: LongestWaits,
    limits: BTreeMap<ConcurrencyLimitId, Option<Versioned<ConcurrencyLimit>>>,
    leases: Vec<Write>,
}

impl<'s> Slots<'s> {
    /// Starts with nothing read, for a transition decided at `now`.
    pub fn new(store: &'s Store, now: Timestamp, longest: LongestWaits) -> Self {
        Self { store, now, longest, limits: BTreeMap::new(), leases: Vec::new() }
    }

    /// Takes a slot of each of the `lease`'s limits that is active; returns whether all of them had one.
    pub async fn acquire(&mut self, lease: &Lease) -> Result<bool> {
        let (now, longest) = (self.now, self.longest);
        let mut lease = lease.clone();
        for id in &lease.limits {
            let Some(limit) = self.limit(*id).await? else { continue };
            lease.is_listed |= limit.tag().is_some();
            if limit.active && !limit.take(lease.slots, now, longest) {
                return Ok(false);
            }
        }
        self.leases.extend(self.store.lease_additions(&lease)?);
        Ok(true)
    }

    /// Lets the lease `id` last `seconds` from now on, if there is one.
    pub async fn renew(&mut self, id: LeaseId, seconds: f64) -> Result<()> {
        if let Some(Versioned { mut record, version }) = self.store.get::<Lease>(&table::lease(id)).await? {
            record.expiration = self.now.plus_seconds(seconds);
            self.leases.push(Write::Replace(self.store.lease_item(&record, version + 1)?));
        }
        Ok(())
    }

    /// Gives the slots of the lease `id` back and deletes it, if there is one.
    ///
    /// Where the transaction has no room for all of its limits, the lease ends instead, which is one write: its timer gives
    /// the slots back within a minute, whoever dies in between.
    pub async fn release(&mut self, id: LeaseId) -> Result<()> {
        let Some(Versioned { record: mut lease, version }) = self.store.get::<Lease>(&table::lease(id)).await? else {
            return Ok(());
        };
        let deletions = Store::lease_deletions(&lease, version);
        let further = lease.limits.iter().filter(|limit| !self.limits.contains_key(*limit)).count();
        if self.leases.len() + self.limits.len() + deletions.len() + further > MOST_WRITES {
            lease.expiration = self.now;
            self.leases.push(Write::Replace(self.store.lease_item(&lease, version + 1)?));
            return Ok(());
        }
        let occupancy = lease.created.map(|created| self.now.seconds_since(created));
        self.leases.extend(deletions);
        for limit in lease.limits {
            self.give_back(limit, lease.slots, occupancy).await?;
        }
        Ok(())
    }

    async fn give_back(&mut self, id: ConcurrencyLimitId, slots: i64, occupancy: Option<f64>) -> Result<()> {
        let (now, longest) = (self.now, self.longest);
        if let Some(limit) = self.limit(id).await? {
            limit.give_back(slots, occupancy, now, longest);
        }
        Ok(())
    }

    /// Returns what is to be written, each limit on the condition that nobody changed it since it was read.
    pub fn into_writes(self) -> Result<Vec<Write>> {
        let mut writes = self.leases;
        for Versioned { record, version } in self.limits.into_values().flatten() {
            writes.push(self.store.replace(&record, version)?);
        }
        Ok(writes)
    }

    async fn limit(&mut self, id: ConcurrencyLimitId) -> Result<Option<&mut ConcurrencyLimit>> {
        if !self.limits.contains_key(&id) {
            self.limits.insert(id, self.store.concurrency_limit(id).await?);
        }
        Ok(self.limits.get_mut(&id).and_then(Option::as_mut).map(|found| &mut found.record))
    }
}
