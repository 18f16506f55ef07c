//! Everything that a handler may use: the store, the settings and the clock.

use std::sync::Arc;

use crate::{
    access::Memory,
    error::Result,
    model::Timestamp,
    settings::Settings,
    store::{Store, cost::CountRetries},
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
        Self { store, settings: Arc::new(settings), keys: Arc::default() }
    }

    /// Connects to the table that the environment names, with the credentials of the environment.
    pub async fn from_env() -> Result<Self> {
        Ok(Self::connect(Settings::from_env()?).await)
    }

    /// Connects to the table that the settings name, with the credentials of the environment.
    pub async fn connect(settings: Settings) -> Self {
        let config = aws_config::defaults(aws_config::BehaviorVersion::latest()).load().await;
        let config = aws_sdk_dynamodb::config::Builder::from(&config).interceptor(CountRetries).build();
        let client = aws_sdk_dynamodb::Client::from_conf(config);
        Self::new(Store::new(client, &settings.table, settings.shards), settings)
    }

    /// Reads the clock.
    pub fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}
