//! Connections of websockets that a gateway holds for functions that come and go.

use serde::{Deserialize, Serialize};

use super::{ApiKeyId, Timestamp};

/// A websocket connection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Connection {
    /// The gateway's id of the connection.
    pub id: String,
    /// When it was opened.
    pub opened: Timestamp,
    /// Whether its client has shown what the server asks for.
    pub is_authenticated: bool,
    /// The API key that its client has shown, where there are keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<ApiKeyId>,
}
