//! How a binary runs: one route behind API Gateway, or one consumer behind a queue or stream.
//!
//! Everything generic is instantiated here, once, so that a binary is one line and only links.

use std::process::ExitCode;

use lambda_http::Error;
use lambda_runtime::LambdaEvent;
use serde_json::{Value, json};

use crate::{
    api::Api,
    http::{self, Route},
    logging,
    stream::{self, Change},
};

/// Runs the Lambda function of `route` until the runtime ends the process.
///
/// Returns a failure if the environment lacks a setting or the runtime API is gone; the cause is in the log.
pub fn run(route: &Route) -> ExitCode {
    logging::start();
    finish(start(serve(*route)))
}

async fn serve(route: Route) -> Result<(), Error> {
    let api = Api::from_env().await?;
    lambda_http::run(http::service(api, [&route])).await
}

/// Runs the Lambda function that consumes the table's stream until the runtime ends the process.
///
/// Its event source mapping is to report batch item failures: the answer names the changes that failed, and Lambda
/// hands out the first of them and all behind it again (AWS: "Configuring partial batch response with DynamoDB").
///
/// Returns a failure if the environment lacks a setting or the runtime API is gone; the cause is in the log.
pub fn run_stream_consumer() -> ExitCode {
    logging::start();
    finish(start(serve_stream()))
}

async fn serve_stream() -> Result<(), Error> {
    let api = Api::from_env().await?;
    lambda_runtime::run(lambda_runtime::service_fn(|event: LambdaEvent<stream::change::LambdaEvent>| {
        let api = api.clone();
        async move { Ok::<_, Error>(consume_stream(&api, event.payload).await) }
    }))
    .await
}

/// Consumes what Lambda handed over; returns the answer that names the failures.
async fn consume_stream(api: &Api, event: stream::change::LambdaEvent) -> Value {
    let mut sequence_numbers = Vec::with_capacity(event.records.len());
    let mut changes = Vec::with_capacity(event.records.len());
    for record in event.records {
        let sequence_number = record.dynamodb.sequence_number.clone();
        match Change::try_from(record.dynamodb) {
            Ok(change) => {
                sequence_numbers.push(sequence_number);
                changes.push(change);
            }
            // It would be as unreadable the next time.
            Err(error) => tracing::error!(sequence_number, %error, "a change can't be read and is passed over"),
        }
    }
    let failures = stream::consume(api, &changes).await;
    let failed = failures.iter().filter_map(|failure| {
        let sequence_number = sequence_numbers.get(failure.place)?;
        tracing::error!(sequence_number, error = %failure.error, "a change could not be consumed");
        Some(json!({ "itemIdentifier": sequence_number }))
    });
    json!({ "batchItemFailures": failed.collect::<Vec<_>>() })
}

/// Runs `work` on a runtime of one thread: a function serves one request at a time.
fn start(work: impl Future<Output = Result<(), Error>>) -> Result<(), Error> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

fn finish(outcome: Result<(), Error>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the function stopped");
            ExitCode::FAILURE
        }
    }
}
