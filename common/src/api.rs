//! Everything that a handler may use: the store, the settings and the clock.

use std::sync::Arc;

use crate::{error::Result, model::Timestamp, settings::Settings, store::Store};

/// What a handler gets; clones share it.
#[derive(Clone, Debug)]
pub struct Api {
    /// The table.
    pub store: Store,
    /// The settings, fixed for the process.
    pub settings: Arc<Settings>,
}

impl Api {
    /// Puts together an API over `store`.
    pub fn new(store: Store, settings: Settings) -> Self {
        Self { store, settings: Arc::new(settings) }
    }

    /// Connects to the table that the environment names, with the credentials of the environment.
    pub async fn from_env() -> Result<Self> {
        let settings = Settings::from_env()?;
        let config = aws_config::defaults(aws_config::BehaviorVersion::latest()).load().await;
        let client = aws_sdk_dynamodb::Client::new(&config);
        Ok(Self::new(Store::new(client, &settings.table, settings.shards), settings))
    }

    /// Reads the clock.
    pub fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}
