//! Concurrency limits in the table, and the leases on their slots.
//!
//! A limit's counter is in its item, and a lease is written in the same transaction as the counters it changes: so a slot
//! can neither be taken twice nor leak. A slot that is taken or given back is no event; a change of the definition is, as
//! [`Store::add`], [`Store::update`] and [`Store::delete`] write it.

use std::sync::atomic::{AtomicBool, Ordering};

use uuid::Uuid;

use super::{
    By, Entity, Key, Record, Store, TableAccess, Versioned, Write,
    commit::retry_on_conflict,
    query::Range,
    select::Window,
    table::{self, Collection, Index, IndexKey, Shards},
    unique::Claim,
};
use domain::model::{
    ConcurrencyLimit, ConcurrencyLimitId, Lease, LeaseId, Timestamp,
    concurrency_limit::{LongestWaits, MOST_TOGETHER, MOST_TOGETHER_WITH_TAGS, TAG_PREFIX},
};
use error::{Error, Result};

crate::json_record!(ConcurrencyLimit);

impl Record for ConcurrencyLimit {
    const HEAD: &'static [&'static str] = &["id", "name"];

    fn key(&self) -> Key {
        table::concurrency_limit(self.id)
    }

    fn index_keys(&self, shards: Shards) -> Vec<IndexKey> {
        let pk = shards.of(Collection::ConcurrencyLimits, self.id.0);
        vec![IndexKey { index: Index::ByName, pk, sk: table::sort_with_id(&self.name, self.id) }]
    }
}

impl Entity for ConcurrencyLimit {
    type Id = ConcurrencyLimitId;

    fn key_of(id: ConcurrencyLimitId) -> Key {
        table::concurrency_limit(id)
    }

    fn claim(&self) -> Option<Key> {
        Some(table::unique_concurrency_limit_name(&self.name))
    }
}

/// Names the limit called `name`.
pub fn called(name: &str) -> By<ConcurrencyLimitId> {
    By::Claim(table::unique_concurrency_limit_name(name))
}

/// What [`Store::all_concurrency_limits`] touches.
pub const PAGE: TableAccess = TableAccess::READS.via(&[Index::ByName]);

/// A request that changes counters, which must not be carried out twice when an answer of the store is lost.
struct SlotRequest {
    id: Uuid,
    /// What is written together with the counters.
    key: Key,
    is_repeated: AtomicBool,
}

impl SlotRequest {
    /// Makes a request that writes what is under `witness`, or else a claim of its own.
    fn new(witness: Option<Key>) -> Self {
        let id = Uuid::new_v4();
        let key = witness.unwrap_or_else(|| table::slots_taken(id));
        Self { id, key, is_repeated: AtomicBool::new(false) }
    }

    /// Says whether an attempt before this one was carried out; the first one has none before it.
    async fn was_carried_out(&self, store: &Store) -> Result<bool> {
        Ok(self.is_repeated.swap(true, Ordering::Relaxed) && store.get_item(&self.key).await?.is_some())
    }
}

/// What became of a request for slots.
#[derive(Clone, Debug)]
pub enum Taking {
    /// They were taken of all active limits; the limits, active or not.
    Taken(Vec<ConcurrencyLimit>),
    /// One of the active limits has too few of them; the limits, as they were.
    Full(Vec<ConcurrencyLimit>),
}

impl Store {
    /// Reads the limit `id`.
    pub async fn concurrency_limit(&self, id: ConcurrencyLimitId) -> Result<Option<Versioned<ConcurrencyLimit>>> {
        self.find(id).await
    }

    /// Reads the limits among `names` that exist, by name, of which slots are to be taken or given back together.
    ///
    /// # Errors
    /// [`Error::Unprocessable`] if there are more of them than [`MOST_TOGETHER`], or [`MOST_TOGETHER_WITH_TAGS`] where
    /// they are also to list a lease.
    pub(super) async fn limits_to_change(
        &self,
        names: &[String],
        is_leased: bool,
    ) -> Result<Vec<Versioned<ConcurrencyLimit>>> {
        let found = self.concurrency_limits_by_names(names).await?;
        let is_listed = is_leased && found.iter().any(|found| found.record.tag().is_some());
        let most = if is_listed { MOST_TOGETHER_WITH_TAGS } else { MOST_TOGETHER };
        if found.len() > most {
            return Err(Error::Unprocessable(format!(
                "Slots of at most {most} concurrency limits are changed together, and {} are named.",
                found.len()
            )));
        }
        Ok(found)
    }

    /// Reads the limits among `names` that exist, by name.
    pub async fn concurrency_limits_by_names(&self, names: &[String]) -> Result<Vec<Versioned<ConcurrencyLimit>>> {
        let claims: Vec<Key> = names.iter().map(|name| table::unique_concurrency_limit_name(name)).collect();
        let mut limits = self.find_by_claims::<ConcurrencyLimit>(&claims).await?;
        limits.sort_by(|one, other| one.record.name.cmp(&other.record.name));
        Ok(limits)
    }

    async fn concurrency_limits_by_ids(
        &self,
        ids: impl IntoIterator<Item = ConcurrencyLimitId>,
    ) -> Result<Vec<Versioned<ConcurrencyLimit>>> {
        let keys: Vec<Key> = ids.into_iter().map(table::concurrency_limit).collect();
        let mut limits = self.get_all::<ConcurrencyLimit>(&keys).await?;
        limits.sort_by(|one, other| one.record.name.cmp(&other.record.name));
        Ok(limits)
    }

    /// Reads a page of all limits, by name.
    pub async fn all_concurrency_limits(&self, window: Window) -> Result<Vec<ConcurrencyLimit>> {
        self.page_of_limits("", window).await
    }

    /// Reads a page of the limits of all tags, by name.
    pub async fn concurrency_limits_of_tags(&self, window: Window) -> Result<Vec<ConcurrencyLimit>> {
        self.page_of_limits(TAG_PREFIX, window).await
    }

    /// Reads a page of the limits whose names start with `prefix`, by name.
    async fn page_of_limits(&self, prefix: &str, window: Window) -> Result<Vec<ConcurrencyLimit>> {
        let wanted = window.offset.saturating_add(window.limit);
        let all = Range::all(self, Index::ByName, Collection::ConcurrencyLimits);
        let mut reader = self.read(if prefix.is_empty() { all } else { all.starting_with(prefix) }, wanted);
        let mut keys = Vec::new();
        while keys.len() < wanted {
            let Some(found) = reader.more().await? else { break };
            keys.extend(found.into_iter().map(|item| item.key));
        }
        let page: Vec<Key> = keys.into_iter().skip(window.offset).take(window.limit).collect();
        Ok(self.get_many(&page).await?.into_iter().map(|found| found.record).collect())
    }

    /// Takes `slots` of each active limit among `names` and writes a lease on them, all or none.
    ///
    /// `judge` may refuse what is asked for once the limits are known. Without a `lease`, the slots are taken until they are
    /// given back.
    pub async fn take_slots(
        &self,
        names: &[String],
        slots: i64,
        lease: Option<&Lease>,
        now: Timestamp,
        longest: LongestWaits,
        judge: impl Fn(&[ConcurrencyLimit]) -> Result<()> + Sync,
    ) -> Result<Taking> {
        let request = SlotRequest::new(lease.map(|lease| table::lease(lease.id)));
        retry_on_conflict(|| async {
            let found = self.limits_to_change(names, lease.is_some()).await?;
            let limits: Vec<ConcurrencyLimit> = found.iter().map(|found| found.record.clone()).collect();
            if request.was_carried_out(self).await? {
                return Ok(Taking::Taken(limits));
            }
            judge(&limits)?;
            let mut writes = Vec::new();
            for Versioned { mut record, version } in found.into_iter().filter(|found| found.record.active) {
                if !record.take(slots, now, longest) {
                    return Ok(Taking::Full(limits));
                }
                writes.push(Write::Replace(self.item(&record, version + 1)?));
            }
            match lease {
                Some(lease) => {
                    let is_listed = limits.iter().any(|limit| limit.tag().is_some());
                    let of = limits.iter().map(|limit| limit.id).collect();
                    writes.extend(self.lease_additions(&Lease { limits: of, is_listed, ..lease.clone() })?);
                }
                None if writes.is_empty() => return Ok(Taking::Taken(limits)),
                None => writes.push(self.claim_for_a_while(&Claim::new(request.key.clone(), request.id), now)?),
            }
            self.commit(writes).await?;
            Ok(Taking::Taken(limits))
        })
        .await
    }

    /// Gives `slots` of each limit among `names` back; returns the limits.
    pub async fn give_slots_back(
        &self,
        names: &[String],
        slots: i64,
        occupancy: Option<f64>,
        now: Timestamp,
        longest: LongestWaits,
    ) -> Result<Vec<ConcurrencyLimit>> {
        let request = SlotRequest::new(None);
        retry_on_conflict(|| async {
            let found = self.limits_to_change(names, false).await?;
            let limits = found.iter().map(|found| found.record.clone()).collect();
            let mut writes = self.given_back(found, slots, occupancy, now, longest)?;
            if !writes.is_empty() && !request.was_carried_out(self).await? {
                writes.push(self.claim_for_a_while(&Claim::new(request.key.clone(), request.id), now)?);
                self.commit(writes).await?;
            }
            Ok(limits)
        })
        .await
    }

    fn given_back(
        &self,
        found: Vec<Versioned<ConcurrencyLimit>>,
        slots: i64,
        occupancy: Option<f64>,
        now: Timestamp,
        longest: LongestWaits,
    ) -> Result<Vec<Write>> {
        let active = found.into_iter().filter(|found| found.record.active);
        let write = |Versioned { mut record, version }: Versioned<ConcurrencyLimit>| {
            record.give_back(slots, occupancy, now, longest);
            Ok(Write::Replace(self.item(&record, version + 1)?))
        };
        active.map(write).collect()
    }

    /// Counts `slots` that were asked for in vain of each of the `limits`.
    pub async fn deny_slots(
        &self,
        limits: &[ConcurrencyLimitId],
        slots: i64,
        now: Timestamp,
        longest: LongestWaits,
    ) -> Result<()> {
        retry_on_conflict(|| async {
            let found = self.concurrency_limits_by_ids(limits.iter().copied()).await?;
            let active = found.into_iter().filter(|found| found.record.active);
            let write = |Versioned { mut record, version }: Versioned<ConcurrencyLimit>| {
                record.deny(slots, now, longest);
                Ok(Write::Replace(self.item(&record, version + 1)?))
            };
            self.commit(active.map(write).collect::<Result<_>>()?).await
        })
        .await
    }

    /// Gives the slots of the lease `id` back, and deletes it; nothing if there is none, or it is still to be `kept`.
    pub async fn release_lease(
        &self,
        id: LeaseId,
        now: Timestamp,
        longest: LongestWaits,
        kept: impl Fn(&Lease) -> bool,
    ) -> Result<()> {
        retry_on_conflict(|| async {
            let Some(Versioned { record: lease, version }) = self.get::<Lease>(&table::lease(id)).await? else {
                return Ok(());
            };
            if kept(&lease) {
                return Ok(());
            }
            let occupancy = lease.created.map(|created| now.seconds_since(created));
            let limits = self.concurrency_limits_by_ids(lease.limits.iter().copied()).await?;
            let mut writes = self.given_back(limits, lease.slots, occupancy, now, longest)?;
            writes.extend(Self::lease_deletions(&lease, version));
            self.commit(writes).await
        })
        .await
    }
}
