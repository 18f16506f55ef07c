//! `/work_pools/{name}/workers/connect`: the channel between a worker and the server (Prefect's `worker_channel_connect`).
//!
//! A worker says hello, which is its first heartbeat and makes its pool if it asks for that: all of it is written, or none.
//! Then it sends heartbeats, is told what becomes of its pool, and may be asked to clean up what runs have left.
//!
//! A [`Session`] is data, apart from any connection: it says what is answered to which message, and what the channel closes
//! with. Who has the connection sends it, and asks for what is to be told.

mod frame;
mod hello;
mod session;

pub use hello::{Opened, open};
pub use session::{Occasion, Reaction, Session};

use super::{handshake, subscription};

/// Why a channel closes. A worker goes by the reason: with some it comes again, with others it goes on without a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The worker does not say who it is, or its key is over.
    AuthenticationFailed,
    /// The worker may not do this, or there is no such pool or queue.
    AuthorizationFailed,
    /// The worker speaks no version of the protocol that the server does.
    UnsupportedVersion,
    /// What the worker sent is against the protocol.
    ProtocolError,
    /// The heartbeat can't be written.
    HeartbeatPersistenceFailed,
    /// Something failed here.
    TransientServerError,
}

impl CloseReason {
    /// Returns the closing code.
    pub fn code(self) -> u16 {
        match self {
            Self::AuthenticationFailed | Self::AuthorizationFailed | Self::UnsupportedVersion => {
                handshake::POLICY_VIOLATION
            }
            Self::ProtocolError => subscription::PROTOCOL_ERROR,
            Self::HeartbeatPersistenceFailed | Self::TransientServerError => INTERNAL_ERROR,
        }
    }

    /// Returns the reason in the words of the protocol.
    pub fn text(self) -> &'static str {
        match self {
            Self::AuthenticationFailed => "authentication_failed",
            Self::AuthorizationFailed => "authorization_failed",
            Self::UnsupportedVersion => "unsupported_version",
            Self::ProtocolError => "protocol_error",
            Self::HeartbeatPersistenceFailed => "heartbeat_persistence_failed",
            Self::TransientServerError => "transient_server_error",
        }
    }

    /// Returns the reason for which a channel closes whose worker is refused in the handshake for `refusal`.
    pub fn of_refusal(refusal: &str) -> Self {
        if refusal == handshake::NOT_ALLOWED { Self::AuthorizationFailed } else { Self::AuthenticationFailed }
    }
}

/// The closing code for a failure of the server's (RFC 6455, 7.4.1).
const INTERNAL_ERROR: u16 = 1011;
