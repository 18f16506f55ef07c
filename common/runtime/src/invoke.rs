//! How the relay invokes functions, as API Gateway does: one operation of Lambda.
//!
//! The SDK's client of Lambda would have every function's copy of the SDK built with event streams, which no function
//! needs (`docs/build.md`). Nothing is tried again here but what Lambda has not begun: a function that is invoked
//! twice may hand out a second run to a worker that has heard of neither.

use std::{fmt, time::Duration};

use aws_config::timeout::TimeoutConfig;
use aws_smithy_runtime::client::{identity::IdentityCache, orchestrator::operation::Operation};
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::orchestrator::{HttpRequest, HttpResponse, OrchestratorError},
};
use aws_smithy_types::{body::SdkBody, error::ErrorMetadata};
use bytes::Bytes;
use error::Result;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::aws_json::{Caller, signed};

/// The largest event of a synchronous invocation, in bytes (AWS: "Lambda quotas", invocation payload).
pub const LARGEST_EVENT: usize = 6 * 1024 * 1024;

/// How long a connection to Lambda may take, and an invocation: longer than any function of the websockets may run.
const PATIENCE: (Duration, Duration) = (Duration::from_secs(3), Duration::from_secs(35));

/// How often an invocation is tried that Lambda throttles.
const TRIES: u32 = 6;

/// How long the second try waits; each further one waits twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// Why a function did not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotInvoked {
    /// There are too many invocations at once; this one was not begun.
    Throttled,
    /// The function failed, or Lambda did.
    Failed(String),
}

/// Invokes functions, and waits for what they answer.
pub struct Invoker(Operation<Invocation, Outcome, ErrorMetadata>);

impl fmt::Debug for Invoker {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Invoker")
    }
}

struct Invocation {
    function: String,
    event: Bytes,
}

impl fmt::Debug for Invocation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.function)
    }
}

/// What came of an invocation, which may be secret.
enum Outcome {
    Answered(Value),
    Failed,
    Throttled,
    Refused(String),
}

impl fmt::Debug for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Outcome")
    }
}

impl Invoker {
    /// Invokes functions in the region of the SDK's configuration, with its credentials.
    ///
    /// # Errors
    /// [`error::Error::Internal`] if the configuration has no region or no credentials.
    pub fn of_config(config: &aws_config::SdkConfig) -> Result<Self> {
        let caller = Caller::of_config(config)?;
        let endpoint = caller.endpoint("lambda", "LAMBDA");
        let (connect, invocation) = PATIENCE;
        let timeouts = TimeoutConfig::builder().connect_timeout(connect).operation_timeout(invocation).build();
        // Credentials of a machine come from its metadata service, and are good for hours.
        let operation = signed("lambda", &endpoint, caller, IdentityCache::lazy().build())
            .no_retry()
            .timeout_config(timeouts)
            .serializer(request)
            .deserializer(|response: &HttpResponse| Ok::<_, OrchestratorError<ErrorMetadata>>(outcome(response)))
            .build();
        Ok(Self(operation))
    }

    /// Invokes the function of this name with `event`, which is JSON; returns what it answers.
    ///
    /// # Errors
    /// [`NotInvoked::Throttled`] after some seconds, or [`NotInvoked::Failed`] at once.
    pub async fn invoke(&self, function: &str, event: Bytes) -> std::result::Result<Value, NotInvoked> {
        let mut pause = FIRST_PAUSE;
        for _ in 1..TRIES {
            match self.try_once(function, event.clone()).await {
                Err(NotInvoked::Throttled) => tokio::time::sleep(pause).await,
                outcome => return outcome,
            }
            pause *= 2;
        }
        self.try_once(function, event).await
    }

    async fn try_once(&self, function: &str, event: Bytes) -> std::result::Result<Value, NotInvoked> {
        match self.0.invoke(Invocation { function: function.to_owned(), event }).await {
            Ok(Outcome::Answered(answer)) => Ok(answer),
            Ok(Outcome::Throttled) => Err(NotInvoked::Throttled),
            Ok(Outcome::Failed) => Err(NotInvoked::Failed(format!("{function} failed; its log says why"))),
            Ok(Outcome::Refused(reason)) => Err(NotInvoked::Failed(format!("{function} can't be invoked: {reason}"))),
            Err(error) => Err(NotInvoked::Failed(format!("{function} can't be invoked: {error:?}"))),
        }
    }
}

fn request(invocation: Invocation) -> std::result::Result<HttpRequest, BoxError> {
    let mut request = HttpRequest::new(SdkBody::from(invocation.event));
    let function = utf8_percent_encode(&invocation.function, NON_ALPHANUMERIC);
    request.set_method("POST")?;
    request.set_uri(format!("/2015-03-31/functions/{function}/invocations"))?;
    request.headers_mut().insert("content-type", "application/json");
    Ok(request)
}

fn outcome(response: &HttpResponse) -> Outcome {
    let status = response.status().as_u16();
    if status == 429 {
        return Outcome::Throttled;
    }
    if !response.status().is_success() {
        let kind = response.headers().get("x-amzn-errortype").unwrap_or("unknown");
        return Outcome::Refused(format!("{status}, {kind}"));
    }
    // What the function says of its failure may have parts of the event.
    if response.headers().get("x-amz-function-error").is_some() {
        return Outcome::Failed;
    }
    let body = response.body().bytes().unwrap_or_default();
    serde_json::from_slice(body).map_or_else(|error| Outcome::Refused(error.to_string()), Outcome::Answered)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_function_is_told_and_answers_is_not_shown() {
        let invocation = Invocation { function: "f".into(), event: Bytes::from_static(b"secret") };
        assert_eq!(format!("{invocation:?} {:?}", Outcome::Answered("secret".into())), "f Outcome");
    }
}
