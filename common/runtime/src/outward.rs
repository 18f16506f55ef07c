//! The calls that leave the server, made for the actions of automations.

use std::{fmt, sync::Arc};

use domain::model::Object;
use futures::future::BoxFuture;
pub use outbound::Reach;
use outbound::{CallError, Outbound, Payload, supports};
use serde_json::Value;
use services::{
    App,
    actions::outward::{Answer, CallFailed, Outward},
};
use uuid::Uuid;

/// Lets the actions of `app` make calls that reach as far as this.
#[must_use]
pub fn calling(app: App, reach: Reach) -> App {
    app.calling(Arc::new(Calls(Outbound::new(reach))))
}

struct Calls(Outbound);

impl fmt::Debug for Calls {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Calls")
    }
}

impl Outward for Calls {
    fn call_webhook<'c>(
        &'c self,
        data: &'c Object,
        payload: &'c str,
        invocation: Uuid,
    ) -> BoxFuture<'c, Result<Answer, CallFailed>> {
        Box::pin(async move {
            let data = Value::Object(data.clone());
            let answer = self.0.call_webhook(&data, Payload::Text(payload), invocation).await.map_err(failed)?;
            Ok(Answer { status: answer.status, headers: answer.headers, body: answer.body })
        })
    }

    fn notify<'c>(
        &'c self,
        slug: &'c str,
        data: &'c Object,
        subject: &'c str,
        body: &'c str,
        invocation: Uuid,
    ) -> BoxFuture<'c, Result<(), CallFailed>> {
        Box::pin(async move {
            let data = Value::Object(data.clone());
            self.0.notify(slug, &data, Some(subject), body, invocation).await.map_err(failed)
        })
    }

    fn can_notify(&self, slug: &str) -> bool {
        supports(slug)
    }
}

#[allow(clippy::needless_pass_by_value, reason = "it is what map_err gives")]
fn failed(error: CallError) -> CallFailed {
    CallFailed { reason: error.log(), is_passing: error.is_passing() }
}
