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
    /// The one `user:password` of `PREFECT_SERVER_API_AUTH_STRING`, with which one may do everything.
    Basic(Secret),
    /// An API key, whose role says what its holder may do.
    Keys,
}

/// Text that never reaches a log.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret")
    }
}
