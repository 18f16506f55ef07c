//! Everything that a handler may use: the store, the settings and the clock.

use std::sync::Arc;

use aws_config::{BehaviorVersion, SdkConfig};

use crate::{
    access::Memory,
    error::Result,
    model::Timestamp,
    queue::Queue,
    settings::Settings,
    store::{Store, cost::CountRetries},
    trust,
};

/// What a handler gets; clones share it.
#[derive(Clone, Debug)]
pub struct Api {
    /// The table.
    pub store: Store,
    /// The settings, fixed for the process.
    pub settings: Arc<Settings>,
    /// What this process remembers of API keys.
    pub keys: Arc<Memory>,
}

impl Api {
    /// Puts together an API over `store`.
    pub fn new(store: Store, settings: Settings) -> Self {
        let store = store.keeping_runs_for(settings.run_retention).watched_by(settings.foreman);
        Self { store, settings: Arc::new(settings), keys: Arc::default() }
    }

    /// Connects a function to the table that the environment names, with the credentials of the environment.
    ///
    /// # Errors
    /// Names a variable whose value can't be read.
    pub async fn from_env() -> Result<Self> {
        Ok(Self::configured(Settings::from_env()?, &sdk_config().await?))
    }

    /// Connects a function to the table and to the queue (`PROCTOR_QUEUE_URL`) that the environment names.
    ///
    /// # Errors
    /// Names a variable that is missing, or whose value can't be read.
    pub async fn from_env_with_queue() -> Result<(Self, Queue)> {
        let settings = Settings::from_env()?;
        let url = settings.queue_url()?;
        let config = sdk_config().await?;
        Ok((Self::configured(settings, &config), Queue::new(aws_sdk_sqs::Client::new(&config), &url)))
    }

    /// Connects to the table that the settings name, with the credentials and the trust of the environment.
    pub async fn connect(settings: Settings) -> Self {
        Self::configured(settings, &aws_config::load_defaults(BehaviorVersion::latest()).await)
    }

    fn configured(settings: Settings, config: &SdkConfig) -> Self {
        tracing::debug!("the SDK is configured");
        let config = aws_sdk_dynamodb::config::Builder::from(config).interceptor(CountRetries).build();
        let client = aws_sdk_dynamodb::Client::from_conf(config);
        tracing::debug!("the client is made");
        Self::new(Store::new(client, &settings.table, settings.shards), settings)
    }

    /// Reads the clock.
    pub fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// Loads the SDK's configuration for a function, with the authorities that it trusts.
async fn sdk_config() -> Result<SdkConfig> {
    let mut loader = aws_config::defaults(BehaviorVersion::latest());
    if let Some(http_client) = trust::http_client()? {
        loader = loader.http_client(http_client);
    }
    Ok(loader.load().await)
}
