//! How clients are reached whose websockets API Gateway holds, or the relay.
//!
//! Which of the two holds a connection, its id says, which is made there. Where they are, the environment alone says: a
//! connection whose holder it does not name is gone.

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
use aws_smithy_runtime::client::interceptors::MutateRequestInterceptor;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use domain::{access::Secret, model::is_relayed};
use error::{Error, Result};
use futures::future::BoxFuture;
use services::{
    App,
    connections::{Connections, Gateway, Undelivered},
};
use socket::gateway::Protocol;
use tokio::sync::Mutex;

use crate::{connect, secrets, tls};

/// The variable that names API Gateway's endpoint for connections.
const ENDPOINT: &str = "PROCTOR_CONNECTIONS_URL";

/// The variable that names the relay's endpoint for connections, where there is a relay.
const RELAY: &str = "PROCTOR_RELAY_URL";

/// The variable that names the secret whose value the relay asks for.
const RELAY_SECRET: &str = "PROCTOR_RELAY_SECRET";

/// The header that shows the relay this value.
pub const RELAY_HEADER: &str = "x-proctor-relay";

/// The path below which the relay answers functions.
pub const RELAY_PATH: &str = "/relay";

/// How long a call may take before it is given up.
const PATIENCE: Duration = Duration::from_secs(3);

/// The status of who does not show what it takes.
const FORBIDDEN: u16 = 403;

/// Lets `app` reach clients, if the environment names the endpoint of their connections.
#[must_use]
pub(crate) fn reaching_clients(app: App) -> App {
    let variable = |name: &str| std::env::var(name).ok();
    let api = variable(ENDPOINT).map(|url| Holder::new(url, None));
    let relay = variable(RELAY).zip(variable(RELAY_SECRET)).map(|(url, secret)| Holder::new(url, Some(secret)));
    if api.is_none() && relay.is_none() { app } else { app.reaching(through(Holders { api, relay })) }
}

/// Reaches the clients of the relay at `url`, which asks for the value of the secret `secret`: for tests of the relay.
pub fn clients_of_the_relay(url: String, secret: String) -> Connections {
    through(Holders { api: None, relay: Some(Holder::new(url, Some(secret))) })
}

fn through(holders: Holders) -> Connections {
    Connections::new(Box::new(holders), Box::new(Protocol))
}

/// What may hold connections.
#[derive(Debug)]
struct Holders {
    api: Option<Holder>,
    relay: Option<Holder>,
}

impl Holders {
    /// Returns what holds the connection `id`; none if that is not there, and with it the connection.
    fn of(&self, id: &str) -> Option<&Holder> {
        if is_relayed(id) { self.relay.as_ref() } else { self.api.as_ref() }
    }
}

/// A WebSocket API, or the relay, which is called in the same way.
#[derive(Debug)]
struct Holder {
    url: String,
    /// The secret whose value is shown.
    secret: Option<String>,
    /// Made at the first call, as most invocations tell nobody anything; and again once its value is refused.
    client: Mutex<Option<Client>>,
}

impl Holder {
    fn new(url: String, secret: Option<String>) -> Self {
        Self { url, secret, client: Mutex::default() }
    }

    async fn client(&self) -> Result<Client> {
        let mut known = self.client.lock().await;
        if let Some(client) = &*known {
            return Ok(client.clone());
        }
        let client = self.new_client().await?;
        *known = Some(client.clone());
        Ok(client)
    }

    async fn new_client(&self) -> Result<Client> {
        let config = connect::sdk_config(tls::client_of_everybody());
        // Who sends tries again by itself, one message after the other.
        let retries = RetryConfig::disabled();
        let timeouts = aws_sdk_apigatewaymanagement::config::timeout::TimeoutConfig::builder();
        let mut config = Config::from(&config)
            .to_builder()
            .endpoint_url(&self.url)
            .retry_config(retries)
            .timeout_config(timeouts.operation_timeout(PATIENCE).build());
        if let Some(secret) = &self.secret {
            let Secret(value) = secrets::relay_value(secret, tls::http_client()?)?.read().await?;
            config = config.interceptor(MutateRequestInterceptor::new(move |request: &mut HttpRequest| {
                // What no header can have is refused for want of it.
                let _ = request.headers_mut().try_insert(RELAY_HEADER, value.clone());
            }));
        }
        Ok(Client::from_conf(config.build()))
    }

    /// Has the secret read again for the next call, if this one was refused for its value.
    async fn doubt<T, E>(&self, outcome: &Result<T, SdkError<E>>) {
        let status = outcome.as_ref().err().and_then(SdkError::raw_response).map(|response| response.status().as_u16());
        if self.secret.is_some() && status == Some(FORBIDDEN) {
            *self.client.lock().await = None;
        }
    }

    async fn post(&self, id: &str, text: &str) -> Result<(), Undelivered> {
        let client = self.client().await.map_err(|error| Undelivered::Refused(error.to_string()))?;
        let outcome = client.post_to_connection().connection_id(id).data(Blob::new(text.as_bytes())).send().await;
        self.doubt(&outcome).await;
        match outcome {
            Ok(_) => Ok(()),
            Err(error) if is(&error, PostToConnectionError::is_gone_exception) => Err(Undelivered::Gone),
            Err(error) => Err(Undelivered::Refused(format!("{:?}", error.into_service_error()))),
        }
    }

    async fn cut(&self, id: &str) -> Result<()> {
        let outcome = self.client().await?.delete_connection().connection_id(id).send().await;
        self.doubt(&outcome).await;
        match outcome {
            Ok(_) => Ok(()),
            Err(error) if is(&error, DeleteConnectionError::is_gone_exception) => Ok(()),
            Err(error) => Err(unavailable(&error.into_service_error())),
        }
    }

    async fn holds(&self, id: &str) -> Result<bool> {
        let outcome = self.client().await?.get_connection().connection_id(id).send().await;
        self.doubt(&outcome).await;
        match outcome {
            Ok(_) => Ok(true),
            Err(error) if is(&error, GetConnectionError::is_gone_exception) => Ok(false),
            Err(error) => Err(unavailable(&error.into_service_error())),
        }
    }
}

impl Gateway for Holders {
    fn post<'g>(&'g self, id: &'g str, text: &'g str) -> BoxFuture<'g, Result<(), Undelivered>> {
        Box::pin(async move {
            match self.of(id) {
                Some(holder) => holder.post(id, text).await,
                None => Err(Undelivered::Gone),
            }
        })
    }

    fn cut<'g>(&'g self, id: &'g str) -> BoxFuture<'g, error::Result<()>> {
        Box::pin(async move {
            match self.of(id) {
                Some(holder) => holder.cut(id).await,
                None => Ok(()),
            }
        })
    }

    fn holds<'g>(&'g self, id: &'g str) -> BoxFuture<'g, error::Result<bool>> {
        Box::pin(async move {
            match self.of(id) {
                Some(holder) => holder.holds(id).await,
                None => Ok(false),
            }
        })
    }
}

fn is<E>(error: &SdkError<E>, kind: impl Fn(&E) -> bool) -> bool {
    error.as_service_error().is_some_and(kind)
}

fn unavailable(error: &impl std::fmt::Debug) -> Error {
    Error::Unavailable(format!("the gateway of the websockets can't be reached: {error:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_holder_of_a_connection_is_one_that_the_environment_names() {
        let at = |url: &str| Some(Holder::new(url.to_owned(), None));
        let both = Holders { api: at("api"), relay: at("relay") };
        assert_eq!(both.of("L0SM9cOFvHcCIhw=").unwrap().url, "api");
        assert_eq!(both.of("relay.0").unwrap().url, "relay");
        let without = Holders { relay: None, ..both };
        assert_eq!(without.post("relay.0", "text").await, Err(Undelivered::Gone));
        assert!(without.cut("relay.0").await.is_ok() && !without.holds("relay.0").await.unwrap());
    }
}
