//! Claims on unique names and keys: items of their own, written in the same transaction as what they name, or before it.
//!
//! So uniqueness never depends on an eventually consistent index.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Item, Key, Record, Store, Versioned, Write,
    table::{IndexKey, Shards},
};
use domain::model::Timestamp;
use error::Result;

/// How long a passing claim holds, in seconds: 30 days.
const KEPT_SECONDS: f64 = 30.0 * 24.0 * 3_600.0;

/// For how long a claim waits for its record, in seconds: no request takes longer, and no record is gone so soon.
const OPEN_SECONDS: f64 = 15.0 * 60.0;

/// Says which record owns a unique name or key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Claim {
    /// The name's or key's place.
    #[serde(skip, default = "Key::nowhere")]
    pub key: Key,
    /// The id of the record that owns the name or key.
    pub owner: Uuid,
    /// When it was made, if that was before its record.
    #[serde(default)]
    pub ahead: Option<Timestamp>,
}

impl Claim {
    /// Makes the claim of the record `owner` on `key`.
    pub fn new(key: Key, owner: impl Into<Uuid>) -> Self {
        Self { key, owner: owner.into(), ahead: None }
    }

    /// Says whether the record may still come that the claim was made for, of which nothing is there at `now`.
    ///
    /// Whoever finds such a claim makes the record with the claim's id, so that there is one whoever is faster.
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.ahead.is_some_and(|since| now < since.plus_seconds(OPEN_SECONDS))
    }
}

crate::json_record!(Claim);

impl Record for Claim {
    const HEAD: &'static [&'static str] = &["owner", "ahead"];

    fn key(&self) -> Key {
        self.key.clone()
    }

    fn index_keys(&self, _shards: Shards) -> Vec<IndexKey> {
        Vec::new()
    }
}

impl Store {
    /// Returns the id of the record that owns `key`.
    pub async fn owner(&self, key: &Key) -> Result<Option<Uuid>> {
        self.get_item(key).await?.map(|item| item.record::<Claim>().map(|claim| claim.owner)).transpose()
    }

    /// Returns the write that makes `claim` until 30 days after `now`, refused if another record has the key.
    pub fn claim_for_a_while(&self, claim: &Claim, now: Timestamp) -> Result<Write> {
        let mut item = Item::of(claim, 1, self.shards())?;
        item.expires = Some(now.plus_seconds(KEPT_SECONDS).as_seconds());
        Ok(Write::Insert(item))
    }

    /// Returns the ids of the records that own `keys`, in no order; none for a key that is free.
    pub async fn owners(&self, keys: &[Key]) -> Result<Vec<Uuid>> {
        Ok(self.get_many::<Claim>(keys).await?.into_iter().map(|found| found.record.owner).collect())
    }

    /// Reads the claim on `key`, with the version of its item.
    pub async fn claim_on(&self, key: &Key) -> Result<Option<Versioned<Claim>>> {
        self.get(key).await
    }

    /// Returns the write that takes `key` over for `owner` from a claim whose owner is gone, read at `version`.
    pub fn take_over(&self, key: Key, owner: impl Into<Uuid>, version: u64) -> Result<Write> {
        Ok(Write::Replace(Item::of(&Claim::new(key, owner), version + 1, self.shards())?))
    }

    /// Returns the write that claims `key` for `owner` at `now`, before the record is written, refused if another has it.
    pub fn claim_ahead(&self, key: Key, owner: impl Into<Uuid>, now: Timestamp) -> Result<Write> {
        let claim = Claim { ahead: Some(now), ..Claim::new(key, owner) };
        Ok(Write::Insert(Item::of(&claim, 1, self.shards())?))
    }

    /// Returns the write that claims `key` for `owner`, refused if another record has it.
    pub fn claim(&self, key: Key, owner: impl Into<Uuid>) -> Result<Write> {
        Ok(Write::Insert(Item::of(&Claim::new(key, owner), 1, self.shards())?))
    }
}
