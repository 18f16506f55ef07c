//! The protocols of the websockets, apart from any connection.
//!
//! What is answered to which message is decided here, so that the local server's sockets and functions behind an API
//! Gateway websocket say the same.

pub mod events_in;
pub mod gateway;
pub mod handshake;
pub mod subscription;
pub mod task_subscription;
pub mod worker_channel;
