//! Logs: structured lines on standard error.

use settings::is_collected_by_lambda;
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

/// The variable with the log level or filter, under Prefect's name.
const LEVEL: &str = "PREFECT_SERVER_LOGGING_LEVEL";

/// Starts logging for the process; JSON where Lambda collects it, text for a person's terminal.
///
/// Safe to call twice: the second call changes nothing.
pub fn start() {
    start_with_default("info");
}

/// Starts logging at the level of the environment, or at `level` without one.
pub fn start_with_default(level: &str) {
    let level = std::env::var(LEVEL).unwrap_or_else(|_| level.into());
    // That a line can't be written would be said on standard error, which can't be written either: a panic.
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter(&level))
        .with_writer(std::io::stderr)
        .with_target(false)
        .log_internal_errors(false);
    let _ = if is_collected_by_lambda() {
        logs.json().flatten_event(true).without_time().try_init()
    } else {
        logs.try_init()
    };
}

/// The libraries that write whole requests to the log when they are asked for details, credentials and all.
const TALKATIVE: [&str; 7] =
    ["aws_config", "aws_sdk_dynamodb", "aws_smithy_runtime", "aws_sigv4", "hyper", "lambda_http", "lambda_runtime"];

/// Returns the filter of a level, or of directives, under which no library logs what it is given.
pub fn filter(level: &str) -> EnvFilter {
    let level = level.to_lowercase();
    let level = if level == "warning" { "warn" } else { &level };
    let filter = EnvFilter::builder().parse_lossy(level);
    if filter.max_level_hint().is_some_and(|most| most <= LevelFilter::INFO) {
        return filter;
    }
    let quiet = TALKATIVE.iter().filter_map(|library| format!("{library}=info").parse().ok());
    quiet.fold(filter, EnvFilter::add_directive)
}
