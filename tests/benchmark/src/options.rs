//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use crate::scenario::Scenario;

/// Measures this server and the real Prefect server (the oracle) side by side and prints the ratios.
#[derive(Debug, Clone, Parser)]
#[command(name = "benchmark")]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(crate) struct Options {
    /// The Python environment that holds the oracle.
    #[arg(long, value_name = "DIR", default_value = ".venv")]
    pub(crate) oracle_env: PathBuf,

    /// Use an oracle that already runs, at this API address, instead of starting one.
    #[arg(long, value_name = "URL")]
    pub(crate) oracle_url: Option<String>,

    /// The measured server's binary.
    #[arg(long, value_name = "BIN", default_value = "target/release/proctor")]
    pub(crate) server: PathBuf,

    /// Run the measured server on a file instead of in memory.
    #[arg(long)]
    pub(crate) data: bool,

    /// Measure a server that already runs, at this API address, instead of starting one.
    #[arg(long, value_name = "URL")]
    pub(crate) subject_url: Option<String>,

    /// Measure the oracle against a second oracle, to see the noise: every ratio should be near 1.
    #[arg(long, conflicts_with_all = ["subject_url", "data"])]
    pub(crate) calibrate: bool,

    /// Seconds of each round.
    #[arg(long, default_value_t = 5.0, value_parser = positive)]
    pub(crate) seconds: f64,

    /// One round of 1.5 seconds each instead of two, and one start instead of two.
    #[arg(long, conflicts_with = "seconds")]
    pub(crate) quick: bool,

    /// Flow runs that both servers hold before the scenarios start.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1_000..=1_000_000))]
    pub(crate) runs: u32,

    /// Measure only these scenarios.
    #[arg(long, value_enum, value_delimiter = ',')]
    pub(crate) only: Vec<Scenario>,

    /// Write every number to this file as JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,

    /// Fail when a target is missed, and name it.
    #[arg(long)]
    pub(crate) check: bool,

    /// Measure only what the load generator itself can send, against a server that does nothing.
    #[arg(long)]
    pub(crate) ceiling: bool,
}

impl Options {
    /// How long one round lasts.
    pub(crate) fn round(&self) -> Duration {
        Duration::from_secs_f64(if self.quick { 1.5 } else { self.seconds })
    }

    /// How many rounds each server gets for a scenario and a number of clients.
    pub(crate) fn rounds(&self) -> u32 {
        if self.quick { 1 } else { 2 }
    }

    /// How often each server is started to measure its start-up time.
    pub(crate) fn starts(&self) -> u32 {
        if self.quick { 1 } else { 2 }
    }

    /// The scenarios to measure, in the order in which they run.
    pub(crate) fn scenarios(&self) -> Vec<Scenario> {
        Scenario::ALL.into_iter().filter(|scenario| self.only.is_empty() || self.only.contains(scenario)).collect()
    }
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds > 0.0 && seconds <= 3_600.0 => Ok(seconds),
        _ => Err("give a number of seconds above 0 and up to 3600".to_owned()),
    }
}
