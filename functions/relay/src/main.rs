//! The relay of a stack.

use std::{process::ExitCode, sync::Arc};

use clap::Parser;
use common::{
    logging,
    runtime::{invoke::Invoker, secrets, tls},
};
use relay::{Options, Relay, functions::Deployed, serve};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    logging::start();
    match run(options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the relay stopped");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<(), Box<dyn std::error::Error>> {
    let loader = aws_config::defaults(aws_config::BehaviorVersion::latest());
    let config = loader.http_client(tls::client_of_everybody()).load().await;
    let secret = secrets::relay_values(&options.secret, &config).await?;
    let functions = Deployed { prefix: options.functions.clone(), invoker: Invoker::of_config(&config)? };
    let listener = TcpListener::bind(options.listen).await?;
    let (mut terminated, mut interrupted) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tracing::info!(address = %listener.local_addr()?, "the relay is ready");
    let stop = async {
        tokio::select! {
            _ = terminated.recv() => {}
            _ = interrupted.recv() => {}
        }
    };
    serve(listener, Arc::new(Relay::new(Box::new(functions), secret, options)), stop).await;
    Ok(())
}
