//! From a DynamoDB request in JSON to the engine's call and back.

use dynoxide::{Database, DynoxideError};
use serde::{Serialize, de::DeserializeOwned};

/// From how many items on a query is handed to a thread for blocking calls: reading so many takes milliseconds.
const LONG_PAGE: usize = 400;

/// A request: its operation's name and its body.
#[derive(Clone, Copy)]
pub(crate) struct Call<'c> {
    operation: &'c str,
    body: &'c [u8],
}

/// An answer as DynamoDB's endpoint would give it.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
    /// Whether the request may have written.
    pub(crate) wrote: bool,
}

impl Answer {
    /// Returns what went wrong with the database itself, if anything did: nothing of the request's.
    pub(crate) fn fault(&self) -> Option<&str> {
        (self.status >= 500).then_some(self.body.as_str())
    }

    /// Says whether the request failed because the connection may only read.
    pub(crate) fn met_a_read_only_file(&self) -> bool {
        // SQLite's words are all that the engine hands on.
        self.fault().is_some_and(|fault| fault.contains("readonly database"))
    }
}

impl<'c> Call<'c> {
    /// Takes the operation from the `x-amz-target` header.
    pub(crate) fn new(target: &'c str, body: &'c [u8]) -> Self {
        Self { operation: target.rsplit('.').next().unwrap_or(target), body }
    }

    /// Says whether the request only reads.
    pub(crate) fn only_reads(self) -> bool {
        matches!(self.operation, "GetItem" | "BatchGetItem" | "Query" | "Scan" | "DescribeTable")
    }

    /// Says whether the request asks for the table's state.
    pub(crate) fn asks_for_the_state(self) -> bool {
        self.operation == "DescribeTable"
    }

    /// Says whether the request reads so much that it would hold up others on its thread.
    pub(crate) fn is_long(self) -> bool {
        matches!(self.operation, "Query" | "Scan") && limit(self.body).is_some_and(|limit| limit >= LONG_PAGE)
    }

    /// Runs the operation.
    ///
    /// Only the operations that the store uses are here; any other is refused as unknown.
    pub(crate) fn run(self, engine: &Database) -> Answer {
        let Self { operation, body } = self;
        let result = match operation {
            "GetItem" => call(body, |request| engine.get_item(request)),
            "BatchGetItem" => call(body, |request| engine.batch_get_item(request)),
            "Query" => call(body, |request| engine.query(request)),
            "Scan" => call(body, |request| engine.scan(request)),
            "PutItem" => call(body, |request| engine.put_item(request)),
            "UpdateItem" => call(body, |request| engine.update_item(request)),
            "DeleteItem" => call(body, |request| engine.delete_item(request)),
            "BatchWriteItem" => call(body, |request| engine.batch_write_item(request)),
            "TransactWriteItems" => call(body, |request| engine.transact_write_items(request)),
            "CreateTable" => call(body, |request| engine.create_table(request)),
            "DescribeTable" => call(body, |request| engine.describe_table(request)),
            "UpdateTimeToLive" => call(body, |request| engine.update_time_to_live(request)),
            _ => Err(DynoxideError::ValidationException(format!("Operation {operation} is not used by the store"))),
        };
        match result {
            Ok(body) => Answer { status: 200, body, wrote: !self.only_reads() },
            Err(error) => Answer { status: error.status_code(), body: error.to_json(), wrote: false },
        }
    }
}

/// Finds the `Limit` of a request without parsing it: within a text its quotation marks would be escaped.
fn limit(body: &[u8]) -> Option<usize> {
    const NAME: &[u8] = b"\"Limit\":";
    let start = body.windows(NAME.len()).position(|window| window == NAME)? + NAME.len();
    let digits = body.get(start..)?.iter().take_while(|byte| byte.is_ascii_digit());
    Some(digits.fold(0, |limit: usize, digit| limit.saturating_mul(10).saturating_add(usize::from(digit - b'0'))))
}

fn call<Request: DeserializeOwned, Response: Serialize>(
    body: &[u8],
    run: impl FnOnce(Request) -> dynoxide::Result<Response>,
) -> dynoxide::Result<String> {
    let request =
        serde_json::from_slice(body).map_err(|error| DynoxideError::ValidationException(error.to_string()))?;
    let response = run(request)?;
    serde_json::to_string(&response).map_err(|error| DynoxideError::InternalServerError(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_long_by_its_limit() {
        let is_long = |target, body: &str| Call::new(target, body.as_bytes()).is_long();
        assert!(is_long("DynamoDB_20120810.Query", r#"{"IndexName":"by_time","Limit":1400}"#));
        assert!(!is_long("DynamoDB_20120810.Query", r#"{"Limit":12,"IndexName":"by_time"}"#));
        assert!(!is_long("DynamoDB_20120810.Query", r#"{"Value":{"S":"\"Limit\":1400"}}"#));
        assert!(!is_long("DynamoDB_20120810.BatchGetItem", r#"{"Limit":1400}"#));
    }
}
