//! The connection of a process to the table and the queue in AWS.

use aws_config::{BehaviorVersion, SdkConfig};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use error::Result;
use services::{App, jobs::queue::Queue};
use settings::Settings;
use store::{Store, cost::CountRetries};

use crate::tls;

/// Connects a function to the table that the environment names, with the credentials of the environment.
///
/// # Errors
/// Names a variable whose value can't be read.
pub async fn from_env() -> Result<App> {
    Ok(configured(Settings::from_env()?, &sdk_config(tls::http_client()?).await))
}

/// Connects a function to the table and to the queue (`PROCTOR_QUEUE_URL`) that the environment names.
///
/// # Errors
/// Names a variable that is missing, or whose value can't be read.
pub async fn from_env_with_queue() -> Result<(App, Queue)> {
    let settings = Settings::from_env()?;
    let url = settings.queue_url()?;
    let config = sdk_config(tls::http_client()?).await;
    Ok((configured(settings, &config), Queue::new(aws_sdk_sqs::Client::new(&config), &url)))
}

/// Connects to the table that the settings name, with the credentials and the trust of the environment.
pub async fn to_table(settings: Settings) -> App {
    configured(settings, &sdk_config(tls::client_of_everybody()).await)
}

fn configured(settings: Settings, config: &SdkConfig) -> App {
    tracing::debug!("the SDK is configured");
    let config = aws_sdk_dynamodb::config::Builder::from(config).interceptor(CountRetries).build();
    let client = aws_sdk_dynamodb::Client::from_conf(config);
    tracing::debug!("the client is made");
    App::new(Store::new(client, &settings.table, settings.shards), settings)
}

/// Loads the SDK's configuration, whose requests and whose credentials' requests `http_client` sends.
pub(crate) async fn sdk_config(http_client: SharedHttpClient) -> SdkConfig {
    aws_config::defaults(BehaviorVersion::latest()).http_client(http_client).load().await
}
