//! What every aggregate does alike: a record is found by its id or unique name, added, changed and deleted.
//!
//! A unique name is a claim of its own, written in the same transaction as the record ([`super::unique`]). A change is
//! read, decided and written on the condition that nobody else wrote meanwhile, and repeated if somebody did, so that no
//! handler repeats anything. A deletion that is told of leaves a [`Tombstone`] with its event, for the table's stream
//! tells no more of a deleted item than its key and its last image, and not whether anybody is to hear of it.

use std::fmt::Display;

use domain::{
    events::lifecycle::{self, Lifecycle},
    model::{Event, Timestamp},
};
use error::{Error, Result};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    CommitError, Item, Key, Record, Store, Versioned, Write,
    commit::retry_on_conflict,
    select::Matcher,
    table::{self, IndexKey, Shards},
};

/// A record that clients name, by its id or by a unique name, and whose life events may tell of.
pub trait Entity: Record + Lifecycle + Clone + Sync {
    /// The record's typed id.
    type Id: Copy + Display + Into<Uuid> + From<Uuid> + Send + Sync;

    /// Returns the key of the record `id`.
    fn key_of(id: Self::Id) -> Key;

    /// Returns the key of the claim on the record's unique name, if it has one.
    fn claim(&self) -> Option<Key> {
        None
    }
}

/// How an operation names a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum By<Id> {
    /// By its id.
    Id(Id),
    /// By the claim on its unique name.
    Claim(Key),
}

/// Whether a create made a record or found one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// The record is new.
    Created,
    /// The record was there before, under the same name or key.
    Existed,
}

impl<Id> From<Id> for By<Id> {
    fn from(id: Id) -> Self {
        Self::Id(id)
    }
}

impl Store {
    /// Finds the record that is named; nothing if there is none.
    ///
    /// One read by id, two by name.
    pub async fn find<E: Entity>(&self, by: impl Into<By<E::Id>>) -> Result<Option<Versioned<E>>> {
        match by.into() {
            By::Id(id) => self.get(&E::key_of(id)).await,
            By::Claim(claim) => match self.owner(&claim).await? {
                Some(id) => self.get(&E::key_of(id.into())).await,
                None => Ok(None),
            },
        }
    }

    /// Reads the record that is named.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none.
    pub async fn read_one<E: Entity>(&self, by: impl Into<By<E::Id>>) -> Result<Versioned<E>> {
        self.find(by).await?.ok_or_else(|| Error::missing(E::RESOURCE))
    }

    /// Finds the records that own `claims`, in no order and each once.
    pub async fn find_by_claims<E: Entity>(&self, claims: &[Key]) -> Result<Vec<Versioned<E>>> {
        self.get_many(&self.keys_by_claims::<E>(claims).await?).await
    }

    /// Returns the keys of the records that own `claims`, sorted and each once.
    pub async fn keys_by_claims<E: Entity>(&self, claims: &[Key]) -> Result<Vec<Key>> {
        let mut keys: Vec<Key> = self.owners(claims).await?.into_iter().map(|id| E::key_of(id.into())).collect();
        keys.sort();
        keys.dedup();
        Ok(keys)
    }

    /// Adds `record`, together with the claim on its name.
    ///
    /// # Errors
    /// [`Error::Conflict`] if another record has the name.
    pub async fn add<E: Entity>(&self, record: &E) -> Result<()> {
        self.add_with(record, Vec::new()).await
    }

    /// Adds `record`, together with the claim on its name and what is `beside` it.
    ///
    /// # Errors
    /// [`Error::Conflict`] if another record has the name.
    pub async fn add_with<E: Entity>(&self, record: &E, beside: Vec<Write>) -> Result<()> {
        let mut writes = self.additions(record)?;
        writes.extend(beside);
        match self.commit(writes).await {
            Ok(()) => Ok(()),
            // With our id, the write before was carried out, only its answer was lost.
            Err(CommitError::ConditionFailed(_)) if self.get_item(&record.key()).await?.is_some() => Ok(()),
            Err(CommitError::ConditionFailed(_)) => Err(Error::integrity_conflict()),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns the writes that add `record`: the record's own, and then the claim on its name.
    pub fn additions<E: Entity>(&self, record: &E) -> Result<Vec<Write>> {
        let mut writes = vec![Write::Insert(self.announced(record, 1)?)];
        if let Some(claim) = record.claim() {
            writes.push(self.claim(claim, record.uuid())?);
        }
        Ok(writes)
    }

    /// Changes the record that is named, and returns it as it is then.
    ///
    /// `change` is called again if another request changed the record meanwhile.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none, [`Error::Conflict`] if another record has the new name, and those of `change`.
    pub async fn update<E: Entity>(
        &self,
        by: impl Into<By<E::Id>>,
        change: impl Fn(&mut E) -> Result<()> + Sync,
    ) -> Result<E> {
        self.update_with(by, change, |_, _| Ok(Vec::new())).await
    }

    /// Changes as [`Self::update`], together with what is `beside` the record as it was and as it is then.
    ///
    /// # Errors
    /// Those of [`Self::update`] and of `beside`.
    pub(super) async fn update_with<E: Entity>(
        &self,
        by: impl Into<By<E::Id>>,
        change: impl Fn(&mut E) -> Result<()> + Sync,
        beside: impl Fn(&E, &E) -> Result<Vec<Write>> + Sync,
    ) -> Result<E> {
        let by = &by.into();
        retry_on_conflict(|| async {
            let found = self.read_one::<E>(by.clone()).await?;
            let mut after = found.record.clone();
            change(&mut after)?;
            self.replace_one(&found, &after, beside(&found.record, &after)?).await?;
            Ok(after)
        })
        .await
    }

    /// Changes the record that is named as [`Self::update`] does; a change that leaves it as it was writes nothing.
    ///
    /// # Errors
    /// Those of [`Self::update`].
    pub async fn update_if_changed<E: Entity + PartialEq>(
        &self,
        by: impl Into<By<E::Id>>,
        change: impl Fn(&mut E) -> Result<()> + Sync,
    ) -> Result<E> {
        let by = &by.into();
        retry_on_conflict(|| async {
            let found = self.read_one::<E>(by.clone()).await?;
            let mut after = found.record.clone();
            change(&mut after)?;
            if after != found.record {
                self.replace_one(&found, &after, Vec::new()).await?;
            }
            Ok(after)
        })
        .await
    }

    /// Adds `record`, or changes the one that has its name already; returns it as it is then.
    ///
    /// A change that leaves the record as it was writes nothing. `change` is called again if another request changed the
    /// record meanwhile.
    ///
    /// # Errors
    /// Those of `change`, and [`Error::Conflict`] if another record has the name that it gives.
    pub async fn upsert<E: Entity + PartialEq>(
        &self,
        record: &E,
        change: impl Fn(&mut E) -> Result<()> + Sync,
    ) -> Result<(E, Added)> {
        let by = &record.claim().map_or_else(|| By::Id(record.uuid().into()), By::Claim);
        retry_on_conflict(|| async {
            let Some(found) = self.find::<E>(by.clone()).await? else {
                self.commit(self.additions(record)?).await?;
                return Ok((record.clone(), Added::Created));
            };
            // With our id, the write before was carried out, only its answer was lost.
            if found.record.uuid() == record.uuid() {
                return Ok((found.record, Added::Created));
            }
            let mut after = found.record.clone();
            change(&mut after)?;
            if after != found.record {
                self.replace_one(&found, &after, Vec::new()).await?;
            }
            Ok((after, Added::Existed))
        })
        .await
    }

    /// Changes the record of `resource` under `key`, of which no event tells and whose claims stay; returns it as it is then.
    ///
    /// `change` is called again if another request changed the record meanwhile.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none, and those of `change`.
    pub(super) async fn change<R: Record + Clone>(
        &self,
        key: &Key,
        resource: &'static str,
        change: impl Fn(&mut R) -> Result<()> + Sync,
    ) -> Result<R> {
        retry_on_conflict(|| async {
            let Versioned { mut record, version } =
                self.get::<R>(key).await?.ok_or_else(|| Error::missing(resource))?;
            change(&mut record)?;
            self.commit(vec![self.replace(&record, version)?]).await?;
            Ok(record)
        })
        .await
    }

    /// Replaces the record that was read as `before`, moves the claim on its name, and carries out what is `beside` it.
    ///
    /// # Errors
    /// [`CommitError::Failed`] with [`Error::Conflict`] if another record has the new name.
    pub async fn replace_one<E: Entity>(
        &self,
        before: &Versioned<E>,
        after: &E,
        beside: Vec<Write>,
    ) -> Result<(), CommitError> {
        let (writes, claim) = self.replacements(before, after, beside)?;
        match self.commit(writes).await {
            Err(CommitError::ConditionFailed(place)) if Some(place) == claim => Err(Error::integrity_conflict().into()),
            outcome => outcome,
        }
    }

    /// Returns the writes of [`Self::replace_one`], and the place of the claim on a new name among them.
    fn replacements<E: Entity>(
        &self,
        before: &Versioned<E>,
        after: &E,
        beside: Vec<Write>,
    ) -> Result<(Vec<Write>, Option<usize>)> {
        let mut writes = vec![Write::Replace(self.announced(after, before.version + 1)?)];
        let (old, new) = (before.record.claim(), after.claim());
        let mut place = None;
        if old != new {
            if let Some(new) = new {
                place = Some(writes.len());
                writes.push(self.claim(new, after.uuid())?);
            }
            writes.extend(old.map(Write::Delete));
        }
        writes.extend(beside);
        Ok((writes, place))
    }

    /// Deletes the record that is named, with the claim on its name.
    ///
    /// What belongs to it is deleted, and the event of its deletion is emitted, by the consumer of the table's stream.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none.
    pub async fn delete<E: Entity>(&self, by: impl Into<By<E::Id>>) -> Result<()> {
        self.delete_with(by, |_: &E| Vec::new()).await
    }

    /// Deletes as [`Self::delete`], together with what is `beside` the record.
    ///
    /// # Errors
    /// Those of [`Self::delete`].
    pub(super) async fn delete_with<E: Entity>(
        &self,
        by: impl Into<By<E::Id>>,
        beside: impl Fn(&E) -> Vec<Write> + Sync,
    ) -> Result<()> {
        let by = &by.into();
        let deleted = retry_on_conflict(|| async {
            let found = self.read_one::<E>(by.clone()).await?;
            let mut writes = self.deletions(&found, Timestamp::now())?;
            writes.extend(beside(&found.record));
            self.commit(writes).await
        })
        .await;
        match by {
            By::Id(id) => self.or_unreadable::<E, _>(deleted, &E::key_of(*id), ()).await,
            By::Claim(_) => deleted,
        }
    }

    /// Returns the writes that delete the record that was read as `found` at `now`; the first has the condition.
    ///
    /// Only a record that events tell of leaves a tombstone.
    pub fn deletions<E: Entity>(&self, found: &Versioned<E>, now: Timestamp) -> Result<Vec<Write>> {
        let key = found.record.key();
        let mut writes = vec![Write::DeleteVersion(key.clone(), found.version)];
        writes.extend(found.record.claim().map(Write::Delete));
        if table::is_told_of(&key) && found.record.is_told() {
            let event = lifecycle::deleted(&found.record, found.version, now)?;
            writes.push(self.bury(&key, vec![event])?);
        }
        Ok(writes)
    }

    /// Removes the record that goes with another one: with the claim on its name, and untold.
    ///
    /// Nothing is done where there is none, so that a repeat removes what is left.
    pub async fn remove<E: Entity>(&self, id: E::Id) -> Result<()> {
        let key = E::key_of(id);
        let removed = retry_on_conflict(|| async {
            let Some(found) = self.get::<E>(&key).await? else { return Ok(()) };
            let mut writes = vec![Write::DeleteVersion(key.clone(), found.version)];
            writes.extend(found.record.claim().map(Write::Delete));
            self.commit(writes).await
        })
        .await;
        self.or_unreadable::<E, _>(removed, &key, ()).await
    }

    /// Returns the write that leaves the `events` of the deletion of the item under `key` to the stream's consumer.
    pub fn bury(&self, key: &Key, events: Vec<Event>) -> Result<Write> {
        let tombstone = Tombstone { key: key.tombstone(), events };
        let mut item = Item::of(&tombstone, 1, self.shards())?;
        item.expires = Some(Timestamp::now().plus_seconds(TOMBSTONE_KEPT_SECONDS).as_seconds());
        Ok(Write::Put(item))
    }

    /// Turns `record` into an item of the given version, whose change is told of in events.
    pub fn announced<R: Record>(&self, record: &R, version: u64) -> Result<Item> {
        Ok(Item { announced: Some(version), ..self.item(record, version)? })
    }
}

/// Returns the events that tell of a change of an item from `before` to `after`; none if nobody is to hear of it.
pub(crate) fn events_of_change<R: Record + Lifecycle>(before: Option<&Item>, after: &Item) -> Result<Vec<Event>> {
    if !after.is_announced() {
        return Ok(Vec::new());
    }
    let record: R = after.record()?;
    let before: Option<R> = before.map(Item::record).transpose()?;
    lifecycle::events(before.as_ref(), &record, after.version)
}

/// How long a tombstone stands, in seconds: as long as DynamoDB keeps what its stream has to tell.
const TOMBSTONE_KEPT_SECONDS: f64 = 24.0 * 3_600.0;

/// What is left in the place of a deleted item: the events that tell of its deletion.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Tombstone {
    /// Where the tombstone is: in the partition of the item.
    #[serde(skip, default = "Key::nowhere")]
    key: Key,
    /// The events.
    pub events: Vec<Event>,
}

crate::json_record!(Tombstone);

impl Record for Tombstone {
    const HEAD: &'static [&'static str] = &[];

    fn key(&self) -> Key {
        self.key.clone()
    }

    fn index_keys(&self, _shards: Shards) -> Vec<IndexKey> {
        Vec::new()
    }
}

/// The predicate of a filter that looks at nothing but the record itself; without one, every record matches.
#[derive(Debug)]
pub struct Each<F>(pub Option<F>);

impl<R> Each<fn(&R) -> bool> {
    /// Matches every record.
    pub fn all() -> Self {
        Self(None)
    }
}

impl<R: Send, F: Fn(&R) -> bool + Send> Matcher<R> for Each<F> {
    fn matches_all(&self) -> bool {
        self.0.is_none()
    }

    async fn keep(&mut self, _store: &Store, mut records: Vec<R>) -> Result<Vec<R>> {
        if let Some(matches) = &self.0 {
            records.retain(matches);
        }
        Ok(records)
    }
}
