//! Access without I/O: what a server may ask of its callers, the roles that they have, and how API keys are written.

pub mod key;
mod role;

use std::fmt;

pub use role::Role;

/// What a server asks of those who call it (`PROCTOR_AUTH_MODE`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Nothing: everyone may do everything.
    Open,
    /// The one `user:password`, with which one may do everything.
    Basic(Password),
    /// An API key, whose role says what its holder may do.
    Keys,
}

/// Where the `user:password` of a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Password {
    /// In the environment (`PREFECT_SERVER_API_AUTH_STRING`).
    Given(Secret),
    /// In the secret of this name (`PROCTOR_AUTH_STRING_SECRET`), which is read at the start, and again later.
    Stored(String),
}

impl Password {
    /// Returns whether the password is known to hold other characters than ASCII's.
    pub fn is_beyond_ascii(&self) -> bool {
        matches!(self, Self::Given(secret) if !secret.0.is_ascii())
    }
}

/// Text that never reaches a log.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret")
    }
}
