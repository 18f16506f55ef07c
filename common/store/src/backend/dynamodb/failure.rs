//! What the SDK says, as our error.

use std::error::Error as _;

use aws_sdk_dynamodb::{
    error::{ProvideErrorMetadata, SdkError},
    operation::RequestId,
};

use crate::CommitError;
use error::Error;

/// The codes with which DynamoDB says "not now": a repeat may succeed.
const PASSING: &[&str] = &[
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ThrottlingException",
    "InternalServerError",
    "TransactionInProgressException",
    "TransactionConflictException",
    "ReplicatedWriteConflictException",
    "LimitExceededException",
];

/// What is said of a record whose keys have no room in an item: its texts have all the room that they need.
const TOO_LARGE: &str = "The record is larger than the store takes";

/// Turns what the SDK says into our error.
pub(super) fn failure<E, R>(error: &SdkError<E, R>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug,
{
    let message = message(error);
    match error {
        SdkError::ServiceError(service) => {
            let code = service.err().code().unwrap_or_default();
            let said = service.err().message().unwrap_or_default();
            if PASSING.contains(&code) {
                Error::Unavailable(message)
            } else if code == "ValidationException" && is_about_size(said) {
                Error::TooLarge(TOO_LARGE.into())
            } else {
                Error::Internal(message)
            }
        }
        SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) | SdkError::ResponseError(_) => {
            Error::Unavailable(message)
        }
        _ => Error::Internal(message),
    }
}

/// Says why a transaction was cancelled, by the codes of its parts.
pub(super) fn cancellation(reasons: &[&str], failure: impl Fn() -> Error) -> CommitError {
    if let Some(place) = reasons.iter().position(|code| *code == "ConditionalCheckFailed") {
        return CommitError::ConditionFailed(place);
    }
    if reasons.contains(&"TransactionConflict") {
        return CommitError::Contended;
    }
    if reasons.iter().any(|code| matches!(*code, "ThrottlingError" | "ProvisionedThroughputExceeded")) {
        return CommitError::Failed(Error::Unavailable("the table is throttled".into()));
    }
    if reasons.iter().any(|code| matches!(*code, "ItemCollectionSizeLimitExceeded" | "ValidationError")) {
        return CommitError::Failed(Error::TooLarge(TOO_LARGE.into()));
    }
    CommitError::Failed(failure())
}

/// Says in one line what failed, without the answer itself, which may have records in it.
fn message<E, R>(error: &SdkError<E, R>) -> String
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug,
{
    if let SdkError::ServiceError(service) = error
        && let Some(code) = service.err().code()
    {
        let said = service.err().message().unwrap_or("without a message");
        let request = service.err().meta().request_id().map(|id| format!(" (request {id})")).unwrap_or_default();
        return format!("{code}: {said}{request}");
    }
    let sources = std::iter::successors(error.source(), |source| (**source).source());
    sources.fold(error.to_string(), |told, source| format!("{told}: {source}"))
}

/// Recognises DynamoDB's words for items, transactions and requests over its limits.
fn is_about_size(message: &str) -> bool {
    message.contains("Item size") || message.contains("item size") || message.contains("exceeded the maximum")
}
