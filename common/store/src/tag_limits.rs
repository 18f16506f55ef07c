//! Concurrency limits as the operations of the first generation see them: limits of tags, and who holds their slots.
//!
//! They are limits of the second generation whose names start with `tag:`. A slot of theirs is under a lease of the task
//! run that holds it, whether a rule took it or a client, and each limit lists the leases on it ([`super::slots`]).

use futures::{StreamExt, TryStreamExt, stream};

use super::{
    By, CommitError, Entity, Store, TableAccess, Versioned, Write, commit::retry_on_conflict, concurrency_limits,
    select::Window, table,
};
use domain::events::Lifecycle;
use domain::model::{
    ConcurrencyLimit, ConcurrencyLimitId, Lease, TaskRunId, Timestamp,
    concurrency_limit::{LongestWaits, TagConcurrencyLimit, name_of_tag},
};
use error::{Error, Result};

/// What [`Store::tag_limits`] touches.
pub const PAGE: TableAccess = concurrency_limits::PAGE;

/// How many limits' leases are read at once.
const PARALLEL_READS: usize = 16;

/// How many leases one transaction takes a limit from or adds: each is three writes, of the 100 that it has.
const LEASES_TOGETHER: usize = 32;

/// Names the limit of `tag`.
pub fn limit_of(tag: &str) -> By<ConcurrencyLimitId> {
    concurrency_limits::called(&name_of_tag(tag))
}

/// What became of a task run's request for a slot of each of some tags.
#[derive(Clone, Debug)]
pub enum TagTaking {
    /// It holds a slot of each of these limits, in the order of the tags.
    Taken(Vec<ConcurrencyLimit>),
    /// A limit is full; the first of the tags that limit anything.
    Full(String),
    /// The limit of this tag is 0.
    Never(String),
}

impl Store {
    /// Reads a tag's limit, and who holds its slots at `now`.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none, or it is no tag's.
    pub async fn tag_limit(
        &self,
        by: impl Into<By<ConcurrencyLimitId>>,
        now: Timestamp,
    ) -> Result<TagConcurrencyLimit> {
        let found = self.read_one::<ConcurrencyLimit>(by).await?;
        self.with_holders(&found.record, now).await
    }

    /// Reads a page of the limits of all tags, by tag, and who holds their slots at `now`.
    pub async fn tag_limits(&self, window: Window, now: Timestamp) -> Result<Vec<TagConcurrencyLimit>> {
        let limits = self.concurrency_limits_of_tags(window).await?;
        let read = |limit: ConcurrencyLimit| async move { self.with_holders(&limit, now).await };
        stream::iter(limits).map(read).buffered(PARALLEL_READS).try_collect().await
    }

    /// Adds to `limit` who holds its slots at `now`.
    ///
    /// # Errors
    /// [`Error::NotFound`] if it is no tag's.
    pub async fn with_holders(&self, limit: &ConcurrencyLimit, now: Timestamp) -> Result<TagConcurrencyLimit> {
        let holders = if limit.tag().is_some() { self.holders_of_slots(limit.id, now).await? } else { Vec::new() };
        limit.as_tag_limit(holders).ok_or_else(|| Error::missing(ConcurrencyLimit::RESOURCE))
    }

    /// Reads the task runs that hold slots of a tag's limit at `now`, in the order in which they came.
    pub async fn holders_of_slots(&self, limit: ConcurrencyLimitId, now: Timestamp) -> Result<Vec<TaskRunId>> {
        let mut leases: Vec<Lease> = self.leases_on(limit).await?.into_iter().map(|found| found.record).collect();
        leases.retain(|lease| lease.expiration > now);
        leases.sort_by_key(|lease| (lease.created, lease.id));
        Ok(leases.iter().filter_map(Lease::task_run).collect())
    }

    /// Has `run` hold a slot of each active limit of the `tags`, all or none; it takes those that it does not hold yet.
    ///
    /// # Errors
    /// [`Error::Unprocessable`] if too many tags have limits.
    pub async fn take_tag_slots(
        &self,
        tags: &[String],
        run: TaskRunId,
        now: Timestamp,
        longest: LongestWaits,
    ) -> Result<TagTaking> {
        let names: Vec<String> = tags.iter().map(|tag| name_of_tag(tag)).collect();
        retry_on_conflict(|| async {
            // The limits are read first: whoever takes a slot for the same run meanwhile changes one of them.
            let mut found = self.limits_to_change(&names, true).await?;
            found.sort_by_key(|found| names.iter().position(|name| *name == found.record.name));
            let tag_of = |limit: &ConcurrencyLimit| limit.tag().unwrap_or_default().to_owned();
            if let Some(never) = found.iter().find(|found| found.record.limit == 0) {
                return Ok(TagTaking::Never(tag_of(&never.record)));
            }
            found.retain(|found| found.record.active);
            let limits: Vec<ConcurrencyLimit> = found.iter().map(|found| found.record.clone()).collect();
            let leases = self.leases_of(run).await?;
            let is_held = |limit| {
                leases.iter().any(|Versioned { record, .. }| record.expiration > now && record.limits.contains(&limit))
            };
            let (mut taken, mut writes) = (Vec::new(), Vec::new());
            for Versioned { mut record, version } in found {
                if is_held(record.id) {
                    continue;
                }
                if !record.take(1, now, longest) {
                    // Prefect names this one too, whichever is full.
                    return Ok(TagTaking::Full(limits.first().map(tag_of).unwrap_or_default()));
                }
                taken.push(record.id);
                writes.push(self.replace(&record, version)?);
            }
            if !taken.is_empty() {
                writes.extend(self.lease_additions(&Lease::of_task_run(run, taken, now))?);
            }
            self.commit(writes).await?;
            Ok(TagTaking::Taken(limits))
        })
        .await
    }

    /// Gives every lease of `run` back that holds a slot of a limit of the `tags`, with all of its slots; returns the limits.
    pub async fn give_tag_slots_back(
        &self,
        tags: &[String],
        run: TaskRunId,
        now: Timestamp,
        longest: LongestWaits,
    ) -> Result<Vec<ConcurrencyLimit>> {
        let names: Vec<String> = tags.iter().map(|tag| name_of_tag(tag)).collect();
        let limits = self.concurrency_limits_by_names(&names).await?;
        let limits: Vec<ConcurrencyLimit> = limits.into_iter().map(|found| found.record).collect();
        let is_named = |lease: &Lease| limits.iter().any(|limit| lease.limits.contains(&limit.id));
        for lease in self.leases_of(run).await?.into_iter().filter(|lease| is_named(&lease.record)) {
            self.release_lease(lease.record.id, now, longest, |_| false).await?;
        }
        Ok(limits)
    }

    /// Takes all slots of a tag's limit back, and gives one to each of the `holders`, however many there are.
    ///
    /// A repeat has the same outcome. A lease on slots of other limits goes on without this one.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such limit.
    pub async fn reset_tag_limit(
        &self,
        by: By<ConcurrencyLimitId>,
        holders: &[TaskRunId],
        now: Timestamp,
        longest: LongestWaits,
    ) -> Result<()> {
        let mut holders = holders.to_vec();
        let mut seen = std::collections::HashSet::new();
        holders.retain(|holder| seen.insert(*holder));
        let (id, added) = retry_on_conflict(|| async {
            let (Versioned { mut record, version }, leases) = self.nearly_free(&by, now, longest).await?;
            let first = &holders[..holders.len().min(LEASES_TOGETHER - leases.len())];
            let mut writes = self.taken_from(record.id, &leases)?;
            for holder in first {
                writes.extend(self.lease_additions(&Lease::of_task_run(*holder, vec![record.id], now))?);
            }
            record.set_taken(count(first.len()), now, longest);
            writes.push(self.replace(&record, version)?);
            self.commit(writes).await?;
            Ok((record.id, first.len()))
        })
        .await?;
        for holders in holders[added..].chunks(LEASES_TOGETHER) {
            self.add_holders(id, holders, now, longest).await?;
        }
        Ok(())
    }

    /// Gives a slot of the limit `id` to each of the `holders`, free or not.
    async fn add_holders(
        &self,
        id: ConcurrencyLimitId,
        holders: &[TaskRunId],
        now: Timestamp,
        longest: LongestWaits,
    ) -> Result<()> {
        let leases: Vec<Lease> = holders.iter().map(|holder| Lease::of_task_run(*holder, vec![id], now)).collect();
        retry_on_conflict(|| async {
            let Versioned { mut record, version } = self.read_one::<ConcurrencyLimit>(id).await?;
            let first = leases.first().map(|lease| table::lease(lease.id));
            if let Some(first) = first
                && self.get_item(&first).await?.is_some()
            {
                // An attempt before was carried out, only its answer was lost.
                return Ok(());
            }
            record.set_taken(record.active_slots_at(now) + count(leases.len()), now, longest);
            let mut writes = vec![self.replace(&record, version)?];
            for lease in &leases {
                writes.extend(self.lease_additions(lease)?);
            }
            self.commit(writes).await
        })
        .await
    }

    /// Deletes a limit, and takes its slots from every lease that it lists.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none.
    pub async fn delete_tag_limit(
        &self,
        by: impl Into<By<ConcurrencyLimitId>>,
        now: Timestamp,
        longest: LongestWaits,
    ) -> Result<()> {
        let by = &by.into();
        let deleted = retry_on_conflict(|| async {
            let (found, leases) = self.nearly_free(by, now, longest).await?;
            let mut writes = self.deletions(&found, now)?;
            writes.extend(self.taken_from(found.record.id, &leases)?);
            self.commit(writes).await
        })
        .await;
        match by {
            By::Id(id) => self.or_unreadable::<ConcurrencyLimit, _>(deleted, &ConcurrencyLimit::key_of(*id), ()).await,
            By::Claim(_) => deleted,
        }
    }

    /// Takes a limit's slots from the leases that it lists until one transaction can do the rest; returns both.
    async fn nearly_free(
        &self,
        by: &By<ConcurrencyLimitId>,
        now: Timestamp,
        longest: LongestWaits,
    ) -> Result<(Versioned<ConcurrencyLimit>, Vec<Versioned<Lease>>), CommitError> {
        loop {
            // The limit is read first: whoever adds a lease meanwhile changes it.
            let found = self.read_one::<ConcurrencyLimit>(by.clone()).await?;
            let mut leases = self.leases_on(found.record.id).await?;
            if leases.len() <= LEASES_TOGETHER {
                return Ok((found, leases));
            }
            leases.truncate(LEASES_TOGETHER);
            let Versioned { mut record, version } = found;
            let slots = leases.iter().map(|lease| lease.record.slots).sum();
            record.give_back(slots, None, now, longest);
            let mut writes = self.taken_from(record.id, &leases)?;
            writes.push(self.replace(&record, version)?);
            self.commit(writes).await?;
        }
    }

    /// Returns the writes that take `limit` from `leases`; a lease that is left without a limit is deleted.
    fn taken_from(&self, limit: ConcurrencyLimitId, leases: &[Versioned<Lease>]) -> Result<Vec<Write>> {
        let mut writes = Vec::new();
        for Versioned { record, version } in leases {
            let others: Vec<ConcurrencyLimitId> = record.limits.iter().copied().filter(|id| *id != limit).collect();
            if others.is_empty() {
                writes.extend(Self::lease_deletions(record, *version));
            } else {
                let lease = Lease { limits: others, ..record.clone() };
                writes.push(Write::Replace(self.lease_item(&lease, version + 1)?));
                writes.push(Write::Delete(table::listed_lease(limit, lease.id)));
            }
        }
        Ok(writes)
    }

    /// Reads the leases on slots of tags' limits that a task run holds.
    async fn leases_of(&self, run: TaskRunId) -> Result<Vec<Versioned<Lease>>> {
        let held = self.leases_held_by(run).await?;
        self.get_all(&held.into_iter().map(table::lease).collect::<Vec<_>>()).await
    }
}

fn count(leases: usize) -> i64 {
    i64::try_from(leases).unwrap_or(i64::MAX)
}
