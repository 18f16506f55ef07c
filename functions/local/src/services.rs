//! The background services, in the place of schedules and event sources.

use std::time::Duration;

use common::{Api, Result};
use embedded::EmbeddedDatabase;
use tokio::{sync::watch, task::JoinSet};

/// How often items past their time to live are deleted.
const SWEEP_INTERVAL: Duration = Duration::from_mins(1);

/// The services that run in this process.
#[derive(Debug, Default)]
pub struct Services(JoinSet<()>);

impl Services {
    /// Runs no service.
    pub fn none() -> Self {
        Self::default()
    }

    /// Starts the services that the settings enable; they end when `stopping` turns true.
    pub fn start(_api: &Api, database: &EmbeddedDatabase, stopping: &watch::Receiver<bool>) -> Result<Self> {
        let mut services = JoinSet::new();
        let (database, mut stopping) = (database.clone(), stopping.clone());
        services.spawn(async move {
            loop {
                if let Err(error) = database.sweep_expired().await {
                    tracing::error!(%error, "expired items could not be deleted");
                }
                tokio::select! {
                    _ = stopping.wait_for(|stop| *stop) => return,
                    () = tokio::time::sleep(SWEEP_INTERVAL) => {}
                }
            }
        });
        Ok(Self(services))
    }

    /// Waits until every service has ended.
    pub async fn join(mut self) {
        while self.0.join_next().await.is_some() {}
    }
}
