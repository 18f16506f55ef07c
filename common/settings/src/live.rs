//! Settings of what is told to clients as it happens.

use error::Result;

use crate::Variables;

/// What is told to clients as it happens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LiveSettings {
    /// Whether events are told (`PREFECT_SERVER_EVENTS_STREAM_OUT_ENABLED`).
    pub events: bool,
    /// Whether log lines are told (`PREFECT_SERVER_LOGS_STREAM_OUT_ENABLED`), unlike in Prefect unless it is set to false:
    /// who connects waits for them, and it costs nothing.
    pub logs: bool,
    /// How far back a client is told of events that had happened, in seconds
    /// (`PREFECT_SERVER_EVENTS_MAXIMUM_WEBSOCKET_BACKFILL`).
    pub backfill: f64,
    /// How many of those are read at once (`PREFECT_SERVER_EVENTS_WEBSOCKET_BACKFILL_PAGE_SIZE`).
    pub backfill_page: usize,
}

impl Default for LiveSettings {
    fn default() -> Self {
        Self { events: true, logs: true, backfill: 15.0 * 60.0, backfill_page: 250 }
    }
}

impl LiveSettings {
    pub(crate) fn overridden_by(self, variables: &Variables) -> Result<Self> {
        let page = variables.read("PREFECT_SERVER_EVENTS_WEBSOCKET_BACKFILL_PAGE_SIZE")?;
        Ok(Self {
            events: variables.flag("PREFECT_SERVER_EVENTS_STREAM_OUT_ENABLED")?.unwrap_or(self.events),
            logs: variables.flag("PREFECT_SERVER_LOGS_STREAM_OUT_ENABLED")?.unwrap_or(self.logs),
            backfill: variables.seconds("PREFECT_SERVER_EVENTS_MAXIMUM_WEBSOCKET_BACKFILL")?.unwrap_or(self.backfill),
            backfill_page: page.map_or(self.backfill_page, |page: usize| page.clamp(1, 1_000)),
        })
    }
}
