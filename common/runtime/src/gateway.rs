//! How clients are reached whose websockets API Gateway holds.

use std::time::Duration;

use aws_sdk_apigatewaymanagement::{
    Client, Config,
    config::retry::RetryConfig,
    error::SdkError,
    operation::{
        delete_connection::DeleteConnectionError, get_connection::GetConnectionError,
        post_to_connection::PostToConnectionError,
    },
    primitives::Blob,
};
use error::Error;
use futures::future::BoxFuture;
use services::{
    App,
    connections::{Connections, Gateway, Undelivered},
};
use socket::gateway::Protocol;
use tokio::sync::OnceCell;

use crate::{connect, tls};

/// The variable that names the gateway's endpoint for connections.
const ENDPOINT: &str = "PROCTOR_CONNECTIONS_URL";

/// How long a call may take before it is given up.
const PATIENCE: Duration = Duration::from_secs(3);

/// Lets `app` reach clients, if the environment names the endpoint of their connections.
#[must_use]
pub(crate) fn reaching_clients(app: App) -> App {
    match std::env::var(ENDPOINT) {
        Ok(url) => app.reaching(Connections::new(Box::new(ApiGateway::at(url)), Box::new(Protocol))),
        Err(_) => app,
    }
}

/// A WebSocket API.
#[derive(Debug)]
struct ApiGateway {
    url: String,
    /// Made at the first call: most invocations tell nobody anything.
    client: OnceCell<Client>,
}

impl ApiGateway {
    fn at(url: String) -> Self {
        Self { url, client: OnceCell::new() }
    }

    async fn client(&self) -> &Client {
        let make = || async {
            let config = connect::sdk_config(tls::client_of_everybody());
            // Who sends tries again by itself, one message after the other.
            let retries = RetryConfig::disabled();
            let timeouts = aws_sdk_apigatewaymanagement::config::timeout::TimeoutConfig::builder();
            let config = Config::from(&config)
                .to_builder()
                .endpoint_url(&self.url)
                .retry_config(retries)
                .timeout_config(timeouts.operation_timeout(PATIENCE).build());
            Client::from_conf(config.build())
        };
        self.client.get_or_init(make).await
    }
}

impl Gateway for ApiGateway {
    fn post<'g>(&'g self, id: &'g str, text: &'g str) -> BoxFuture<'g, Result<(), Undelivered>> {
        Box::pin(async move {
            let data = Blob::new(text.as_bytes());
            match self.client().await.post_to_connection().connection_id(id).data(data).send().await {
                Ok(_) => Ok(()),
                Err(error) if is(&error, PostToConnectionError::is_gone_exception) => Err(Undelivered::Gone),
                Err(error) => Err(Undelivered::Refused(format!("{:?}", error.into_service_error()))),
            }
        })
    }

    fn cut<'g>(&'g self, id: &'g str) -> BoxFuture<'g, error::Result<()>> {
        Box::pin(async move {
            match self.client().await.delete_connection().connection_id(id).send().await {
                Ok(_) => Ok(()),
                Err(error) if is(&error, DeleteConnectionError::is_gone_exception) => Ok(()),
                Err(error) => Err(unavailable(&error.into_service_error())),
            }
        })
    }

    fn holds<'g>(&'g self, id: &'g str) -> BoxFuture<'g, error::Result<bool>> {
        Box::pin(async move {
            match self.client().await.get_connection().connection_id(id).send().await {
                Ok(_) => Ok(true),
                Err(error) if is(&error, GetConnectionError::is_gone_exception) => Ok(false),
                Err(error) => Err(unavailable(&error.into_service_error())),
            }
        })
    }
}

fn is<E, R>(error: &SdkError<E, R>, kind: impl Fn(&E) -> bool) -> bool {
    error.as_service_error().is_some_and(kind)
}

fn unavailable(error: &impl std::fmt::Debug) -> Error {
    Error::Unavailable(format!("the gateway of the websockets can't be reached: {error:?}"))
}
