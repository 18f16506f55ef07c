//! How a request that isn't valid is answered.

use budget::Exceeded;
use serde_json::{Value, json};

use super::{fault::Fault, faults::echo_body};

/// Why a request is refused before its handler runs.
#[derive(Clone, Debug, PartialEq)]
pub enum Rejection {
    /// The request doesn't fit the operation: 422 with pydantic's errors and the body that was sent.
    Invalid {
        /// The faults, in Prefect's order, as many as an answer has room for.
        faults: Vec<Fault>,
        /// The parsed body; its text when it isn't JSON, null when there is none.
        body: Value,
    },
    /// A path parameter that must be a UUID isn't one, so that no route matches: 404.
    NotFound,
    /// The request can't be read, or its API version isn't served: 400 with this sentence.
    BadRequest(String),
    /// A rule outside the schemas is broken, such as the limit of a page: 422 with this sentence.
    Unprocessable(String),
    /// The request goes beyond a bound: 422 that says which.
    Exceeded(Exceeded),
}

impl From<Exceeded> for Rejection {
    fn from(exceeded: Exceeded) -> Self {
        Self::Exceeded(exceeded)
    }
}

impl Rejection {
    /// Returns the HTTP status and the JSON body of the answer.
    pub fn into_answer(self) -> (u16, Value) {
        match self {
            Self::Invalid { faults, body } => {
                let answer = json!({
                    "exception_message": "Invalid request received.",
                    "exception_detail": faults,
                    "request_body": echo_body(&body),
                });
                (422, answer)
            }
            Self::NotFound => (404, json!({"detail": "Not Found"})),
            Self::BadRequest(detail) => (400, json!({"detail": detail})),
            Self::Unprocessable(detail) => (422, json!({"detail": detail})),
            Self::Exceeded(exceeded) => (422, error::beyond_a_bound(exceeded)),
        }
    }
}
