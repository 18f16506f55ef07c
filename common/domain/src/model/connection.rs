//! Connections of websockets that a gateway holds for functions that come and go.

use serde::{Deserialize, Serialize};

use super::Timestamp;

/// A websocket connection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Connection {
    /// The gateway's id of the connection.
    pub id: String,
    /// When it was opened.
    pub opened: Timestamp,
    /// Whether its client has shown what the server asks for.
    pub is_authenticated: bool,
}
