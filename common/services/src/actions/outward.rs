//! The calls that leave the server, as actions make them; who makes them is given to the process.

use std::fmt;

use domain::model::Object;
use futures::future::BoxFuture;
use uuid::Uuid;

/// What somebody else answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: Vec<(String, String)>,
    /// The body, or the beginning of it.
    pub body: String,
}

/// Why a call failed, without anything secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallFailed {
    /// Why.
    pub reason: String,
    /// Whether the same call may succeed a while later.
    pub is_passing: bool,
}

/// Makes calls that leave the server.
///
/// The invocation is the same whenever a call comes again, and is told to the other side.
pub trait Outward: fmt::Debug + Send + Sync {
    /// Calls the webhook of a block with this `data`, and returns what it answers, whichever status that has.
    fn call_webhook<'c>(
        &'c self,
        data: &'c Object,
        payload: &'c str,
        invocation: Uuid,
    ) -> BoxFuture<'c, Result<Answer, CallFailed>>;

    /// Sends a notification by a block of the type `slug` with this `data`.
    fn notify<'c>(
        &'c self,
        slug: &'c str,
        data: &'c Object,
        subject: &'c str,
        body: &'c str,
        invocation: Uuid,
    ) -> BoxFuture<'c, Result<(), CallFailed>>;

    /// Says whether blocks of the type `slug` can send notifications.
    fn can_notify(&self, slug: &str) -> bool;
}

/// Returns why nothing is sent by a process that was given nobody who makes calls.
pub(super) fn nobody() -> CallFailed {
    CallFailed { reason: "this server makes no calls of its own".into(), is_passing: false }
}
