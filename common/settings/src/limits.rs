//! How long a server on one machine waits for its clients, and how much it holds for them.
//!
//! Functions have no such settings: API Gateway and Lambda set these bounds.

use std::{num::NonZeroU16, time::Duration};

use super::Variables;
use error::Result;

/// The bounds of a server on one machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerLimits {
    /// How many connections there are at once (`PROCTOR_CONNECTIONS`).
    pub connections: u16,
    /// How much of requests' bodies, of answers and of websockets' messages is held at once, in MB
    /// (`PROCTOR_MEGABYTES_IN_FLIGHT`).
    pub megabytes_in_flight: u16,
    /// How many requests that read are answered at once (`PROCTOR_READS_AT_ONCE`).
    pub reads_at_once: u16,
    /// How long a connection may take for the head of its next request (`PREFECT_SERVER_API_KEEPALIVE_TIMEOUT`).
    ///
    /// More than the 25 seconds that Prefect's client keeps an idle connection, unlike Prefect's own default: so the
    /// server closes none at the moment at which the client uses it.
    pub idle_timeout: Duration,
    /// How long the next part of a request's body may take (`PROCTOR_BODY_TIMEOUT_SECONDS`).
    pub body_timeout: Duration,
    /// How long a client may take to read the next part of an answer (`PROCTOR_WRITE_TIMEOUT_SECONDS`).
    pub write_timeout: Duration,
    /// How long a client of a websocket may take to authenticate (`PROCTOR_HANDSHAKE_TIMEOUT_SECONDS`).
    pub handshake_timeout: Duration,
    /// After how much silence a client of a websocket is sent a ping, and how long it has to answer
    /// (`PROCTOR_PING_SECONDS`).
    pub ping_interval: Duration,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            connections: 1_000,
            megabytes_in_flight: 64,
            reads_at_once: 8,
            idle_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(30),
            handshake_timeout: Duration::from_secs(10),
            ping_interval: Duration::from_secs(20),
        }
    }
}

impl ServerLimits {
    pub(super) fn overridden_by(self, variables: &Variables) -> Result<Self> {
        let number = |name: &str, default: u16| {
            variables.read(name).map(|number: Option<NonZeroU16>| number.map_or(default, NonZeroU16::get))
        };
        let time = |name: &str, default: Duration| variables.with(name, period).map(|period| period.unwrap_or(default));
        Ok(Self {
            connections: number("PROCTOR_CONNECTIONS", self.connections)?,
            megabytes_in_flight: number("PROCTOR_MEGABYTES_IN_FLIGHT", self.megabytes_in_flight)?,
            reads_at_once: number("PROCTOR_READS_AT_ONCE", self.reads_at_once)?,
            idle_timeout: time("PREFECT_SERVER_API_KEEPALIVE_TIMEOUT", self.idle_timeout)?,
            body_timeout: time("PROCTOR_BODY_TIMEOUT_SECONDS", self.body_timeout)?,
            write_timeout: time("PROCTOR_WRITE_TIMEOUT_SECONDS", self.write_timeout)?,
            handshake_timeout: time("PROCTOR_HANDSHAKE_TIMEOUT_SECONDS", self.handshake_timeout)?,
            ping_interval: time("PROCTOR_PING_SECONDS", self.ping_interval)?,
        })
    }
}

/// Reads a number of seconds, more than none and less than a year.
fn period(text: &str) -> Option<Duration> {
    const YEAR: f64 = 365.0 * 86_400.0;
    let seconds = text.trim().parse::<f64>().ok().filter(|seconds| *seconds > 0.0 && *seconds < YEAR)?;
    Some(Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(name: &str, text: &str) -> Result<ServerLimits> {
        ServerLimits::default().overridden_by(&[(name, text)].into_iter().collect())
    }

    #[test]
    fn what_is_no_bound_is_refused_by_its_name() {
        assert_eq!(limits("PROCTOR_CONNECTIONS", "7").unwrap().connections, 7);
        assert_eq!(limits("PROCTOR_PING_SECONDS", "0.5").unwrap().ping_interval, Duration::from_millis(500));
        for name in ["PROCTOR_CONNECTIONS", "PROCTOR_MEGABYTES_IN_FLIGHT", "PROCTOR_BODY_TIMEOUT_SECONDS"] {
            for wrong in ["0", "-1", "many", "inf", "NaN", "1e300"] {
                assert!(limits(name, wrong).unwrap_err().to_string().contains(name), "{name}={wrong}");
            }
        }
    }
}
