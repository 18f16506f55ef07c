//! What is told of an API key: nothing that opens anything.

use common::{
    domain::access::{Role, key},
    model::{ApiKey, ApiKeyId, Timestamp, api_key::KeyStatus},
};
use serde::Serialize;

/// An API key without its secret, and without what the secret is recognised by.
#[derive(Debug, Serialize)]
pub(crate) struct ApiKeyResponse {
    id: ApiKeyId,
    /// What the key starts with, by which its holder recognises it.
    prefix: String,
    name: String,
    role: Role,
    status: KeyStatus,
    created: Timestamp,
    expiration: Option<Timestamp>,
    revoked: Option<Timestamp>,
}

impl ApiKeyResponse {
    /// Tells of `key` as it is at `now`.
    pub(crate) fn new(key: ApiKey, now: Timestamp) -> Self {
        let (prefix, status) = (key::shown(key.id), key.status(now));
        let ApiKey { id, created, name, role, expiration, revoked, digest: _ } = key;
        Self { id, prefix, name, role, status, created, expiration, revoked }
    }
}
