//! The functions of the websockets, which the relay invokes as API Gateway does.

use std::fmt::Debug;

use bytes::Bytes;
use common::{
    lambda::SocketRoute,
    runtime::invoke::{Invoker, NotInvoked},
};
use futures::future::BoxFuture;
use serde_json::Value;

/// What answers events of the websockets.
pub trait Functions: Debug + Send + Sync {
    /// Invokes the function of `route` with an event, which is JSON; returns what it answers.
    fn invoke(&self, route: SocketRoute, event: Bytes) -> BoxFuture<'_, Result<Value, NotInvoked>>;
}

/// The functions of a stage, in Lambda.
#[derive(Debug)]
pub struct Deployed {
    /// What stands before the names of the stage's functions.
    pub prefix: String,
    /// What invokes them.
    pub invoker: Invoker,
}

impl Functions for Deployed {
    fn invoke(&self, route: SocketRoute, event: Bytes) -> BoxFuture<'_, Result<Value, NotInvoked>> {
        Box::pin(async move {
            let function = format!("{}{}", self.prefix, route.function());
            self.invoker.invoke(&function, event).await
        })
    }
}
