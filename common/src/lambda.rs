//! How a binary runs: one route behind API Gateway, or one consumer behind a queue or stream.
//!
//! Everything generic is instantiated here, once, so that a binary is one line and only links.

use std::process::ExitCode;

use lambda_http::Error;

use crate::{
    api::Api,
    http::{self, Route},
    logging,
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
