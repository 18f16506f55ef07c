//! The connection of a process to the table and the queue in AWS.

use aws_config::{
    BehaviorVersion, Region, SdkConfig, environment::EnvironmentVariableCredentialsProvider, identity::IdentityCache,
    retry::RetryConfig,
};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_async::{rt::sleep::TokioSleep, time::SystemTimeSource};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};
use domain::access::{Mode, Password};
use error::Result;
use services::{
    App,
    jobs::queue::{Queue, QueueLocation},
    vault::{Master, Vault},
};
use settings::Settings;
use store::{Store, cost::CountRetries};

use crate::{key_file::KeyFile, kms::KmsKey, secrets, tls};

/// Connects a function to the table that the environment names, with the credentials of the environment.
///
/// Where the environment names a secret that has the password of callers, it is read here, once for the process.
///
/// # Errors
/// Names a variable whose value can't be read, or a secret that can't be read.
pub async fn from_env() -> Result<App> {
    let (settings, http_client) = (Settings::from_env()?, tls::http_client()?);
    let config = sdk_config(http_client.clone());
    let app = configured(settings, &config);
    // Only a function that measures the queue is told where it is.
    let app = match app.settings.queue_url() {
        Ok(url) => app.measuring_queue(QueueLocation::Sqs { config, url }),
        Err(_) => app,
    };
    let app = with_master(app, |key, table| KmsKey::of_environment(key, table, http_client.clone()))?;
    match &app.settings.access {
        Mode::Basic(Password::Stored(secret)) => {
            let password = secrets::auth_string(secret, http_client).await?;
            Ok(app.clone().with_password(password))
        }
        _ => Ok(app),
    }
}

/// Connects a function to the table and to the queue (`PROCTOR_QUEUE_URL`) that the environment names.
///
/// # Errors
/// Names a variable that is missing, or whose value can't be read.
pub fn from_env_with_queue() -> Result<(App, Queue)> {
    let settings = Settings::from_env()?;
    let url = settings.queue_url()?;
    let http_client = tls::http_client()?;
    let config = sdk_config(http_client.clone());
    let app = configured(settings, &config);
    let app = with_master(app, |key, table| KmsKey::of_environment(key, table, http_client.clone()))?;
    Ok((app, Queue::new(aws_sdk_sqs::Client::new(&config), &url)))
}

/// Connects to the table that the settings name, with the credentials and the trust of the environment.
///
/// # Errors
/// [`Error::Internal`](error::Error::Internal) if the settings name a key of KMS, and the environment no region.
pub async fn to_table(settings: Settings) -> Result<App> {
    let loader = aws_config::defaults(BehaviorVersion::latest()).http_client(tls::client_of_everybody());
    let config = loader.load().await;
    with_master(configured(settings, &config), |key, table| KmsKey::of_config(key, table, &config))
}

/// Gives `app` the master key that its settings name, if they do: one in KMS, or one in a file.
///
/// Nothing is asked of either before something is to be opened or sealed.
fn with_master(app: App, in_kms: impl FnOnce(&str, &str) -> Result<KmsKey>) -> Result<App> {
    let master: Box<dyn Master> = match (&app.settings.secrets_key, &app.settings.key_file) {
        (Some(key), _) => Box::new(in_kms(key, &app.settings.table)?),
        (None, Some(file)) => Box::new(KeyFile::at(file.clone())),
        (None, None) => return Ok(app),
    };
    Ok(app.with_vault(Vault::new(master)))
}

fn configured(settings: Settings, config: &SdkConfig) -> App {
    tracing::debug!("the SDK is configured");
    let config = aws_sdk_dynamodb::config::Builder::from(config).interceptor(CountRetries).build();
    let client = aws_sdk_dynamodb::Client::from_conf(config);
    tracing::debug!("the client is made");
    App::new(Store::new(client, &settings.table, settings.shards), settings)
}

/// Configures the SDK of a function, whose requests `http_client` sends, as the environment says.
///
/// Lambda puts region and credentials there. The SDK's own search for them also knows profiles, roles and metadata
/// services, which would be a seventh of each function; commands that a person runs use it ([`to_table`]).
pub(crate) fn sdk_config(http_client: SharedHttpClient) -> SdkConfig {
    let variable = |name: &str| std::env::var(name).ok();
    let mut config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .credentials_provider(SharedCredentialsProvider::new(EnvironmentVariableCredentialsProvider::new()))
        .http_client(http_client)
        .identity_cache(IdentityCache::lazy().build())
        .retry_config(RetryConfig::standard())
        .service_config(Endpoints)
        .sleep_impl(TokioSleep::new())
        .time_source(SystemTimeSource::new());
    config.set_region(variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION")).map(Region::new));
    config.set_endpoint_url(variable(ENDPOINT));
    config.build()
}

/// The variable that names an endpoint of all services, and with `_` and a service's name behind it of one.
const ENDPOINT: &str = "AWS_ENDPOINT_URL";

/// The endpoints of single services that the environment names.
#[derive(Debug)]
struct Endpoints;

impl LoadServiceConfig for Endpoints {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        let service = key.service_id().to_uppercase().replace(' ', "_");
        (key.env() == ENDPOINT).then(|| std::env::var(format!("{ENDPOINT}_{service}")).ok()).flatten()
    }
}
