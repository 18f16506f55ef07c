//! Faults for tests: what DynamoDB does on a bad day, and the embedded database never does by itself.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use aws_smithy_runtime_api::client::{
    http::{HttpClient, HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn},
    orchestrator::HttpRequest,
    result::ConnectorError,
};

use tokio::sync::Notify;

use crate::connector::respond;

/// One fault, met by one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The table or index has no capacity left; nothing was done.
    Throttled,
    /// Another transaction holds an item; nothing was done.
    TransactionConflict,
    /// DynamoDB failed inside; nothing was done.
    InternalError,
    /// The request was carried out, and its answer was lost.
    AnswerLost,
    /// The transaction was carried out and its answer lost; repeated, when [`Faults::go_on`] allows, it is refused,
    /// because DynamoDB has forgotten the request's token.
    Forgotten,
}

/// Which requests meet a fault.
type Plan = VecDeque<Option<Fault>>;

/// A script of faults, taken by the requests in their order; requests after its end meet none.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    plan: Arc<Mutex<Plan>>,
    /// The operations that are counted; every one if there is none.
    only: Vec<&'static str>,
    panics_over: Option<&'static str>,
    going_on: Arc<Notify>,
}

impl Faults {
    /// Makes an empty script that only counts requests for `operation`, such as `PutItem`.
    pub fn on(operation: &'static str) -> Self {
        Self { only: vec![operation], ..Self::default() }
    }

    /// Makes an empty script that only counts what commits writes: one with its condition, or a transaction.
    pub fn on_commits() -> Self {
        Self { only: vec!["PutItem", "TransactWriteItems"], ..Self::default() }
    }

    /// Makes a script by which each request for `operation` that has `text` in it panics, as a fault of ours would.
    pub fn panics(operation: &'static str, text: &'static str) -> Self {
        Self { panics_over: Some(text), ..Self::on(operation) }
    }

    /// Lets the next request meet `fault`, after those scripted before.
    pub fn then(&self, fault: Fault) -> &Self {
        self.lock().push_back(Some(fault));
        self
    }

    /// Lets one request pass.
    pub fn then_pass(&self) -> &Self {
        self.lock().push_back(None);
        self
    }

    /// Lets the request that met [`Fault::Forgotten`] be refused, at once or when it comes.
    pub fn go_on(&self) {
        self.going_on.notify_one();
    }

    /// Lets every further request pass.
    pub fn end(&self) {
        self.lock().clear();
    }

    /// Returns how many scripted steps no request has met yet.
    pub fn left(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the next step of the script for a call of `operation`, if it counts such.
    pub(crate) fn next_of(&self, operation: &str) -> Option<Fault> {
        let is_counted = self.only.is_empty() || self.only.contains(&operation);
        if is_counted { self.lock().pop_front().flatten() } else { None }
    }

    fn next(&self, request: &HttpRequest) -> Option<Fault> {
        if !self.only.is_empty() && !self.only.contains(&operation_of(request)) {
            return None;
        }
        let body = request.body().bytes().unwrap_or_default();
        let panics = self.panics_over.is_some_and(|text| String::from_utf8_lossy(body).contains(text));
        assert!(!panics, "a fault of the test");
        self.lock().pop_front().flatten()
    }

    /// Puts this script before `client`.
    pub fn before(&self, client: SharedHttpClient) -> SharedHttpClient {
        let faults = self.clone();
        http_client_fn(move |settings, components| {
            let inner = client.http_connector(settings, components);
            SharedHttpConnector::new(FaultyConnector { inner, faults: faults.clone() })
        })
    }
}

#[derive(Debug)]
struct FaultyConnector {
    inner: SharedHttpConnector,
    faults: Faults,
}

impl HttpConnector for FaultyConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let is_transaction = operation_of(&request) == "TransactWriteItems";
        match self.faults.next(&request) {
            None => self.inner.call(request),
            Some(Fault::AnswerLost) => {
                let call = self.inner.call(request);
                HttpConnectorFuture::new(async move {
                    call.await?;
                    Err(ConnectorError::timeout("the answer was lost".into()))
                })
            }
            Some(Fault::Forgotten) => {
                let (call, going_on) = (self.inner.call(request), self.faults.going_on.clone());
                HttpConnectorFuture::new(async move {
                    call.await?;
                    going_on.notified().await;
                    if is_transaction {
                        refuse(400, "TransactionCanceledException", &reason("ConditionalCheckFailed")).await
                    } else {
                        refuse(400, "ConditionalCheckFailedException", "").await
                    }
                })
            }
            Some(Fault::Throttled) => refuse(400, "ProvisionedThroughputExceededException", ""),
            Some(Fault::InternalError) => refuse(500, "InternalServerError", ""),
            Some(Fault::TransactionConflict) if is_transaction => {
                refuse(400, "TransactionCanceledException", &reason("TransactionConflict"))
            }
            Some(Fault::TransactionConflict) => refuse(400, "TransactionConflictException", ""),
        }
    }
}

/// Returns the operation that is asked for, such as `PutItem`.
fn operation_of(request: &HttpRequest) -> &str {
    let target = request.headers().get("x-amz-target").unwrap_or_default();
    target.rsplit_once('.').map_or(target, |(_, operation)| operation)
}

fn reason(code: &str) -> String {
    format!(r#","CancellationReasons":[{{"Code":"{code}"}}]"#)
}

fn refuse(status: u16, code: &str, rest: &str) -> HttpConnectorFuture {
    let body = format!(r#"{{"__type":"com.amazonaws.dynamodb.v20120810#{code}","message":"injected"{rest}}}"#);
    HttpConnectorFuture::ready(respond(status, body))
}
