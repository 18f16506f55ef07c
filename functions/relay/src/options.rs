//! What a relay is told.

use std::{net::SocketAddr, time::Duration};

use clap::Parser;

/// Holds websockets in API Gateway's place: the relay of a stack.
///
/// Region and credentials are those of the machine, as the SDK finds them.
#[derive(Clone, Debug, Parser)]
#[command(version)]
pub struct Options {
    /// Where it listens, behind CloudFront
    #[arg(long, env = "PROCTOR_RELAY_LISTEN", default_value = "0.0.0.0:8080")]
    pub listen: SocketAddr,

    /// What stands before the names of the stage's functions, such as proctor-prod-
    #[arg(long, env = "PROCTOR_RELAY_FUNCTIONS")]
    pub functions: String,

    /// The ARN of the secret whose value functions show
    #[arg(long, env = "PROCTOR_RELAY_SECRET")]
    pub secret: String,

    /// How many connections there are at once
    #[arg(long, env = "PROCTOR_RELAY_CONNECTIONS", default_value_t = 1_000)]
    pub connections: u16,

    /// How many MB of messages it holds from clients, and as many for clients
    #[arg(long, env = "PROCTOR_RELAY_MEGABYTES", default_value_t = 32,
        value_parser = clap::value_parser!(u16).range(8..=4096))]
    pub megabytes: u16,

    /// How many functions it invokes at once
    #[arg(long, env = "PROCTOR_RELAY_INVOCATIONS", default_value_t = 100,
        value_parser = clap::value_parser!(u16).range(1..))]
    pub invocations: u16,

    /// After how many seconds of silence a client is sent a ping, which it must answer in as many
    #[arg(long, env = "PROCTOR_RELAY_PING_SECONDS", default_value_t = 30,
        value_parser = clap::value_parser!(u16).range(1..=300))]
    pub ping_seconds: u16,

    /// How many seconds a client may take to say who it is
    #[arg(long, env = "PROCTOR_RELAY_HANDSHAKE_SECONDS", default_value_t = 10,
        value_parser = clap::value_parser!(u16).range(1..=300))]
    pub handshake_seconds: u16,

    /// How many seconds a client may take to read the next part of what it is sent
    #[arg(long, env = "PROCTOR_RELAY_WRITE_SECONDS", default_value_t = 30,
        value_parser = clap::value_parser!(u16).range(1..=300))]
    pub write_seconds: u16,

    /// How many seconds its end may take
    #[arg(long, env = "PROCTOR_RELAY_STOP_SECONDS", default_value_t = 25,
        value_parser = clap::value_parser!(u16).range(1..=300))]
    pub stop_seconds: u16,
}

impl Options {
    pub(crate) fn ping_interval(&self) -> Duration {
        Duration::from_secs(self.ping_seconds.into())
    }

    pub(crate) fn handshake_timeout(&self) -> Duration {
        Duration::from_secs(self.handshake_seconds.into())
    }

    pub(crate) fn write_timeout(&self) -> Duration {
        Duration::from_secs(self.write_seconds.into())
    }

    pub(crate) fn stop_timeout(&self) -> Duration {
        Duration::from_secs(self.stop_seconds.into())
    }
}
