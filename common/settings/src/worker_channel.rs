//! Settings of the channel between workers and the server.

use error::Result;

use crate::Variables;

/// How cleanups are delivered to workers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WorkerChannelSettings {
    /// How long a worker has a cleanup that it does not renew, in seconds (`PREFECT_SERVER_WORKER_CHANNEL_CLEANUP_LEASE_SECONDS`).
    pub cleanup_lease: f64,
    /// How often a cleanup is delivered at most (`PREFECT_SERVER_WORKER_CHANNEL_CLEANUP_MAX_DELIVERY_ATTEMPTS`).
    pub cleanup_deliveries: u32,
    /// Whether the server looks by itself for leases that expired (`PREFECT_SERVER_SERVICES_CLEANUP_RECONCILER_ENABLED`);
    /// else a worker that asks finds them.
    pub expires_leases: bool,
}

impl Default for WorkerChannelSettings {
    fn default() -> Self {
        Self { cleanup_lease: 30.0, cleanup_deliveries: 3, expires_leases: true }
    }
}

impl WorkerChannelSettings {
    pub(crate) fn overridden_by(self, variables: &Variables) -> Result<Self> {
        let named = |name: &str| format!("PREFECT_SERVER_WORKER_CHANNEL_CLEANUP_{name}");
        let lease = variables.seconds_or_duration(&named("LEASE_SECONDS"))?.filter(|seconds| *seconds > 0.0);
        let deliveries = variables.read(&named("MAX_DELIVERY_ATTEMPTS"))?;
        Ok(Self {
            cleanup_lease: lease.unwrap_or(self.cleanup_lease),
            cleanup_deliveries: deliveries.unwrap_or(self.cleanup_deliveries).max(1),
            expires_leases: variables
                .flag("PREFECT_SERVER_SERVICES_CLEANUP_RECONCILER_ENABLED")?
                .unwrap_or(self.expires_leases),
        })
    }
}
