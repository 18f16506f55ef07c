//! Logs: structured lines on standard error.

use tracing_subscriber::EnvFilter;

/// The variable with the log level or filter, under upstream's name.
const LEVEL: &str = "PREFECT_SERVER_LOGGING_LEVEL";

/// Starts logging for the process; JSON where Lambda collects it, text for a person's terminal.
///
/// Safe to call twice: the second call changes nothing.
pub fn start() {
    start_with_default("info");
}

/// Starts logging at the level of the environment, or at `level` without one.
pub fn start_with_default(level: &str) {
    let level = std::env::var(LEVEL).unwrap_or_else(|_| level.into()).to_lowercase();
    let level = if level == "warning" { "warn".into() } else { level };
    let filter = EnvFilter::builder().parse_lossy(level);
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    let _ = if std::env::var_os("AWS_LAMBDA_FUNCTION_NAME").is_some() {
        logs.json().flatten_event(true).without_time().try_init()
    } else {
        logs.try_init()
    };
}
