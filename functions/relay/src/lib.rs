//! A relay that holds websockets in API Gateway's place, for who needs more than that carries: frames of more than 32
//! KB, and connections of more than two hours.
//!
//! The relay knows no protocol and no table. Of each connection, message and end it tells the functions that API
//! Gateway would tell, with the same events, and functions reach its clients by the same calls
//! (`docs/decisions/0017-the-relay.md`). It keeps nothing: when it dies, its clients come again, and functions find its
//! connections gone.

mod client;
mod event;
pub mod functions;
mod management;
mod options;
mod outbox;
mod server;

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Router,
    http::StatusCode,
    middleware,
    routing::{any, get},
};
use bytes::Bytes;
use common::{
    access::StoredSecret,
    http::limits::Limits,
    lambda::SocketRoute,
    runtime::{gateway::RELAY_PATH, invoke::NotInvoked},
    settings::ServerLimits,
};
use serde_json::Value;
use tokio::sync::{Semaphore, watch};

use functions::Functions;
use outbox::{End, Outbox, Outboxes};

pub use options::Options;
pub use server::serve;

/// Where a load balancer asks whether the relay is well.
pub const HEALTH: &str = "/health";

/// The address of who has sent a request.
#[derive(Clone, Copy, Debug)]
struct Peer(SocketAddr);

/// A relay, and the connections that it holds.
#[derive(Debug)]
pub struct Relay {
    functions: Box<dyn Functions>,
    secret: StoredSecret,
    options: Options,
    outboxes: Outboxes,
    limits: Limits,
    /// Whose turn it is to be invoked.
    turns: Semaphore,
    /// Says that the relay ends; each connection has a receiver until it is over.
    stopping: watch::Sender<bool>,
}

impl Relay {
    /// Makes a relay before `functions`, which show it `secret`.
    pub fn new(functions: Box<dyn Functions>, secret: StoredSecret, options: Options) -> Self {
        let limits = ServerLimits { megabytes_in_flight: options.megabytes, ..ServerLimits::default() };
        Self {
            functions,
            secret,
            outboxes: Outboxes::new(options.megabytes),
            limits: Limits::new(&limits),
            turns: Semaphore::new(options.invocations.into()),
            stopping: watch::channel(false).0,
            options,
        }
    }

    async fn invoke(&self, route: SocketRoute, event: Bytes) -> Result<Value, NotInvoked> {
        let _turn = self.turns.acquire().await.map_err(|_| NotInvoked::Throttled)?;
        self.functions.invoke(route, event).await
    }

    /// Tells the function of a connection's end.
    async fn say_farewell(&self, id: &str, outbox: &Outbox, end: &End) {
        self.outboxes.close(id);
        // Who is gone without a word has closed abnormally.
        let event = outbox.request.disconnect(id, end.code.unwrap_or(1006), end.reason);
        if let Err(failure) = self.invoke(SocketRoute::Disconnect, event).await {
            tracing::warn!(id, ?failure, "a connection's end is told to nobody; the next message for it finds it gone");
        }
    }
}

/// Makes the service of a relay.
fn routes(relay: Arc<Relay>) -> Router {
    let connection = get(management::get).post(management::post).delete(management::delete);
    let management = Router::new()
        .route(&format!("{RELAY_PATH}/@connections/{{id}}"), connection)
        .layer(middleware::from_fn_with_state(relay.clone(), management::guard));
    Router::new().route(HEALTH, any(StatusCode::OK)).merge(management).fallback(client::open).with_state(relay)
}
