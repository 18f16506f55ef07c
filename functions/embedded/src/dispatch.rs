//! From a DynamoDB request in JSON to the engine's call and back.

use dynoxide::{Database, DynoxideError};
use serde::{Serialize, de::DeserializeOwned};

/// An answer as DynamoDB's endpoint would give it.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
    /// Whether the request may have written.
    pub(crate) wrote: bool,
}

/// Runs the operation named by the `x-amz-target` header on `body`.
///
/// Only the operations that the store uses are here; any other is refused as unknown.
pub(crate) fn dispatch(engine: &Database, target: &str, body: &[u8]) -> Answer {
    let operation = target.rsplit('.').next().unwrap_or(target);
    let result = match operation {
        "GetItem" => call(body, |request| engine.get_item(request)),
        "BatchGetItem" => call(body, |request| engine.batch_get_item(request)),
        "Query" => call(body, |request| engine.query(request)),
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
    let wrote = matches!(operation, "PutItem" | "UpdateItem" | "DeleteItem" | "BatchWriteItem" | "TransactWriteItems");
    match result {
        Ok(body) => Answer { status: 200, body, wrote },
        Err(error) => Answer { status: error.status_code(), body: error.to_json(), wrote: false },
    }
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
