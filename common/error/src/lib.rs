//! The one error type, and the one place where it becomes an HTTP answer.

use std::fmt;

use axum::{
    http::{
        HeaderValue, StatusCode,
        header::{CONTENT_TYPE, RETRY_AFTER},
    },
    response::{IntoResponse, Response},
};
use budget::Exceeded;
use serde_json::{Value, json};

/// The result of everything that can fail on a request's way.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a request could not be answered as asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// What the request names does not exist.
    #[error("{0}")]
    NotFound(Missing),
    /// The run whose state or labels are to be set, the queue that is polled or the automation does not exist; Prefect words
    /// this in another field.
    #[error("{0}")]
    NoSuchRun(String),
    /// What the request names existed, and is over.
    #[error("{0}")]
    Gone(String),
    /// The request contradicts what is stored.
    #[error("{0}")]
    Conflict(String),
    /// The request is well-formed, and refused.
    #[error("{0}")]
    BadRequest(String),
    /// The caller has not said who it is, or not rightly.
    #[error("{0}")]
    Unauthorized(String),
    /// The caller may not do this.
    #[error("{0}")]
    Forbidden(String),
    /// The request is well-formed, and its content is refused with one sentence.
    #[error("{0}")]
    Unprocessable(String),
    /// The request is malformed; the body is the one that FastAPI and pydantic would answer.
    #[error("the request is malformed")]
    Invalid(Value),
    /// The request asks for more than the server has a bound for.
    #[error(transparent)]
    Exceeded(#[from] Exceeded),
    /// The request or a record in it is larger than the store takes.
    #[error("{0}")]
    TooLarge(String),
    /// The client takes too long to send its request.
    #[error("{0}")]
    TooSlow(String),
    /// The server has too much to do at once; the request changed nothing and may be repeated.
    #[error("the server is busy: {0}")]
    Busy(&'static str),
    /// The store is throttled or can't be reached; the request changed nothing and may be repeated.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// What is stored under a key is no record; the message goes to the log and never to the caller.
    #[error("a record can't be read: {0}")]
    Unreadable(String),
    /// What is stored is sealed with a key that the server can't use; the message says which one, and nothing was changed.
    #[error("{0}")]
    Sealed(String),
    /// A fault of ours; the message goes to the log and never to the caller.
    #[error("{0}")]
    Internal(String),
}

/// How long a client should wait before it repeats a request that met [`Error::Unavailable`] or [`Error::Busy`], in seconds.
const RETRY_AFTER_SECONDS: &str = "1";

/// What does not exist.
///
/// The store says which resource lacks a record, and the operation how Prefect words that ([`InWords`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Missing {
    /// A record of this resource, such as `work-pool`.
    Record(&'static str),
    /// In the operation's own words.
    Said(String),
}

impl fmt::Display for Missing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Record(resource) => {
                let mut words = resource.replace('-', " ");
                if let Some(first) = words.get_mut(..1) {
                    first.make_ascii_uppercase();
                }
                write!(formatter, "{words} not found")
            }
            Self::Said(words) => formatter.write_str(words),
        }
    }
}

/// The words of an operation for what it did not find.
pub trait InWords {
    /// Says `words` instead of [`Missing::Record`]; whatever else is left as it is.
    #[must_use]
    fn in_words(self, words: &str) -> Self;
}

impl<T> InWords for Result<T> {
    fn in_words(self, words: &str) -> Self {
        self.map_err(|error| match error {
            Error::NotFound(Missing::Record(_)) => Error::NotFound(Missing::Said(words.to_owned())),
            other => other,
        })
    }
}

impl Error {
    /// Says that there is no record of a resource, such as `work-pool`.
    pub fn missing(resource: &'static str) -> Self {
        Self::NotFound(Missing::Record(resource))
    }

    /// Says that something does not exist, in these words.
    pub fn not_found_in_words(words: impl Into<String>) -> Self {
        Self::NotFound(Missing::Said(words.into()))
    }

    /// Says that there is no `what`, as Prefect words it.
    pub fn not_found(what: &str) -> Self {
        Self::not_found_in_words(format!("{what} not found"))
    }

    /// Says that there is no run `id` of the kind, as Prefect words it where it sets a state or labels.
    pub fn no_such_run(kind: &str, id: impl std::fmt::Display) -> Self {
        Self::NoSuchRun(format!("{kind} with id {id} not found"))
    }

    /// Says that a record names another one that does not exist, or takes a key that is taken.
    pub fn integrity_conflict() -> Self {
        Self::Conflict(
            "Data integrity conflict. This usually means a unique or foreign key constraint was violated. See server \
             logs for details."
                .into(),
        )
    }

    /// Says whether the same may succeed a while later, without anybody's doing.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }

    /// Returns the HTTP status of the answer.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::NotFound(_) | Self::NoSuchRun(_) => StatusCode::NOT_FOUND,
            Self::Gone(_) => StatusCode::GONE,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::Unauthorized(_) => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::Unprocessable(_) | Self::Invalid(_) | Self::Exceeded(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow(_) => StatusCode::REQUEST_TIMEOUT,
            Self::Busy(_) | Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal(_) | Self::Unreadable(_) | Self::Sealed(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Returns what may be told to callers of the error.
    pub fn public_message(&self) -> String {
        match self {
            Self::Internal(_) | Self::Unreadable(_) => "Internal Server Error".into(),
            other => other.to_string(),
        }
    }

    fn body(&self) -> Value {
        match self {
            Self::Invalid(body) => body.clone(),
            Self::Exceeded(exceeded) => beyond_a_bound(*exceeded),
            Self::Unauthorized(message) | Self::NoSuchRun(message) | Self::Sealed(message) => {
                json!({ "exception_message": message })
            }
            Self::Internal(_) | Self::Unreadable(_) => json!({ "exception_message": self.public_message() }),
            Self::Busy(_) | Self::Unavailable(_) => json!({ "exception_message": "Service Unavailable" }),
            other => json!({ "detail": other.to_string() }),
        }
    }
}

/// Returns the answer to a request that goes beyond a bound, in the form in which Prefect refuses any other.
///
/// It has nothing of the request in it, which may be large.
pub fn beyond_a_bound(Exceeded(bound): Exceeded) -> Value {
    json!({
        "exception_message": "Invalid request received.",
        "exception_detail": [{
            "type": "budget_exceeded",
            "loc": ["body"],
            "msg": Exceeded(bound).to_string(),
            "input": null,
            "ctx": {"bound": bound.name(), "most": bound.most()},
        }],
        "request_body": null,
    })
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let status = self.status();
        if status.is_server_error() {
            tracing::error!(status = status.as_u16(), error = %self, "request failed");
        }
        let mut response = (status, self.body().to_string()).into_response();
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if matches!(self, Self::Busy(_) | Self::Unavailable(_)) {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS));
        }
        response
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Self::Internal(format!("a record could not be read or written: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asks_to_come_back_when_the_store_is_unavailable_or_the_server_busy() {
        for error in [Error::Unavailable("throttled".into()), Error::Busy("full")] {
            let response = error.into_response();
            assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(response.headers().get(RETRY_AFTER).unwrap(), RETRY_AFTER_SECONDS);
        }
    }

    #[test]
    fn what_is_missing_is_named_after_its_resource_unless_the_operation_has_words_of_its_own() {
        let missing = || Err::<(), _>(Error::missing("work-pool"));
        assert_eq!(missing().unwrap_err().body(), json!({"detail": "Work pool not found"}));
        assert_eq!(missing().in_words("No pool.").unwrap_err().body(), json!({"detail": "No pool."}));
        let other = Err::<(), _>(Error::Conflict("taken".into())).in_words("No pool.");
        assert!(matches!(other, Err(Error::Conflict(_))));
    }

    #[test]
    fn names_the_bound_that_a_request_goes_beyond() {
        let error = Error::from(Exceeded(budget::Bound::CronLength));
        assert_eq!(error.status(), StatusCode::UNPROCESSABLE_ENTITY);
        let context = json!({"bound": "cron_length", "most": 1024});
        assert_eq!(error.body()["exception_detail"][0]["ctx"], context);
    }

    #[test]
    fn says_which_key_is_missing() {
        let error = Error::Sealed("the key file is missing".into());
        assert_eq!(
            (error.status().as_u16(), error.body()),
            (500, json!({"exception_message": "the key file is missing"}))
        );
    }

    #[test]
    fn keeps_our_faults_to_the_log() {
        assert_eq!(Error::Internal("secret".into()).body(), json!({"exception_message": "Internal Server Error"}));
    }
}
