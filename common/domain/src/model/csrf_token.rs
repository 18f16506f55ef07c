//! CSRF tokens.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Timestamp;

/// A token that a client must send with its writes, where CSRF protection is enabled.
#[derive(Clone, Serialize, Deserialize)]
pub struct CsrfToken {
    /// The record's id.
    pub id: Uuid,
    /// When the client first asked for a token.
    pub created: Timestamp,
    /// When the record was made.
    pub updated: Timestamp,
    /// The token.
    pub token: String,
    /// The name that the client gave itself.
    pub client: String,
    /// Until when the token holds.
    pub expiration: Timestamp,
}

impl fmt::Debug for CsrfToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("CsrfToken").field("client", &self.client).finish_non_exhaustive()
    }
}
