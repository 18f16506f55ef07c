//! API keys, as far as the server knows them.

use std::fmt;

use error::Result;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use super::{Timestamp, id::typed_id};
use crate::access::{Role, key};

typed_id! {
    /// The id of an API key.
    ApiKeyId
}

/// The record of an API key: what its holder may do and until when, and by what the key is recognised.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// The record's id, which is part of the key.
    pub id: ApiKeyId,
    /// When the key was made.
    pub created: Timestamp,
    /// What the administrator calls the key.
    pub name: String,
    /// What its holder may do.
    pub role: Role,
    /// The key's SHA-256, in hexadecimal.
    pub digest: String,
    /// From when on the key is refused; none if it never expires.
    pub expiration: Option<Timestamp>,
    /// When the key was revoked.
    pub revoked: Option<Timestamp>,
}

/// Whether a key lets its holder in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyStatus {
    /// It does.
    Active,
    /// Not any more: its time is over.
    Expired,
    /// Not any more: an administrator said so.
    Revoked,
}

impl ApiKey {
    /// Makes a key at `now`; returns its record and the key itself, which nobody can read again.
    ///
    /// # Errors
    /// [`error::Error::Internal`] if the operating system has no random numbers.
    pub fn mint(name: String, role: Role, expiration: Option<Timestamp>, now: Timestamp) -> Result<(Self, String)> {
        let id = ApiKeyId::new();
        let text = key::mint(id)?;
        let digest = key::digest(&text);
        Ok((Self { id, created: now, name, role, digest, expiration, revoked: None }, text))
    }

    /// Returns whether the key lets its holder in at `now`.
    pub fn status(&self, now: Timestamp) -> KeyStatus {
        if self.revoked.is_some() {
            KeyStatus::Revoked
        } else if self.expiration.is_some_and(|expiration| expiration <= now) {
            KeyStatus::Expired
        } else {
            KeyStatus::Active
        }
    }

    /// Says in constant time whether `text` is this key.
    pub fn is(&self, text: &str) -> bool {
        self.digest.as_bytes().ct_eq(key::digest(text).as_bytes()).into()
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("ApiKey");
        shown.field("id", &self.id).field("name", &self.name).field("role", &self.role).finish_non_exhaustive()
    }
}
