//! Settings, read from the environment under upstream's names where upstream has them.

use std::str::FromStr;

use crate::{
    error::{Error, Result},
    store::Shards,
};

/// The settings of a process.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The name of the DynamoDB table (`PROCTOR_TABLE`).
    ///
    /// At least 12 characters, because the ids of its stream's shards derive from it.
    pub table: String,
    /// Over how many partitions each collection is spread (`PROCTOR_SHARDS`), fixed for a table's life.
    pub shards: Shards,
    /// How many records a page holds by default and at most (`PREFECT_SERVER_API_DEFAULT_LIMIT`).
    pub default_limit: u32,
    /// Whether writes need a CSRF token (`PREFECT_SERVER_CSRF_PROTECTION_ENABLED`).
    pub csrf_protection_enabled: bool,
    /// How long a CSRF token holds, in seconds (`PREFECT_SERVER_CSRF_TOKEN_EXPIRATION`).
    pub csrf_token_expiration: u64,
    /// How many related resources an event may name (`PREFECT_SERVER_EVENTS_MAXIMUM_RELATED_RESOURCES`).
    pub maximum_related_resources: usize,
    /// How many labels a resource of an event may have (`PREFECT_SERVER_EVENTS_MAXIMUM_LABELS_PER_RESOURCE`).
    pub maximum_labels_per_resource: usize,
    /// How large an event may be, in bytes of JSON (`PREFECT_SERVER_EVENTS_MAXIMUM_SIZE_BYTES`).
    pub maximum_event_bytes: usize,
    /// How long events are kept, in seconds (`PREFECT_SERVER_EVENTS_RETENTION_PERIOD`).
    pub event_retention: u64,
    /// What clients have to know to be let in, if anything (`PREFECT_SERVER_API_AUTH_STRING`).
    pub auth_string: Option<String>,
    /// Whether task runs are recorded from events (`PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_ENABLED`).
    pub task_run_recorder_enabled: bool,
    /// Whether the server keeps the events that it emits itself (`PREFECT_SERVER_SERVICES_EVENT_PERSISTER_ENABLED`).
    ///
    /// Those of clients are kept in any case: task runs are recorded from them.
    pub event_persister_enabled: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            table: "proctor-records".into(),
            shards: Shards(8),
            default_limit: 200,
            csrf_protection_enabled: false,
            csrf_token_expiration: 3_600,
            maximum_related_resources: 100,
            maximum_labels_per_resource: 500,
            maximum_event_bytes: 1_500_000,
            event_retention: 7 * 24 * 3_600,
            auth_string: None,
            task_run_recorder_enabled: true,
            event_persister_enabled: true,
        }
    }
}

impl Settings {
    /// Reads the process environment.
    ///
    /// # Errors
    /// Names a variable whose value can't be read.
    pub fn from_env() -> Result<Self> {
        Self::from(|name| std::env::var(name).ok())
    }

    /// Reads the process environment for a server on one machine, whose database knows no hot partitions to spread.
    pub fn local_from_env() -> Result<Self> {
        let unsharded = Self { shards: Shards(1), ..Self::default() };
        unsharded.overridden_by(|name| std::env::var(name).ok())
    }

    /// Reads the variables that `variable` returns.
    pub fn from(variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        Self::default().overridden_by(variable)
    }

    fn overridden_by(self, variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let default = self;
        let shards = read(&variable, "PROCTOR_SHARDS", default.shards.0)?;
        Ok(Self {
            table: read(&variable, "PROCTOR_TABLE", default.table)?,
            shards: Shards(shards.max(1)),
            default_limit: read(&variable, "PREFECT_SERVER_API_DEFAULT_LIMIT", default.default_limit)?,
            csrf_protection_enabled: flag(
                &variable,
                "PREFECT_SERVER_CSRF_PROTECTION_ENABLED",
                default.csrf_protection_enabled,
            )?,
            csrf_token_expiration: read(
                &variable,
                "PREFECT_SERVER_CSRF_TOKEN_EXPIRATION",
                default.csrf_token_expiration,
            )?,
            maximum_related_resources: read(
                &variable,
                "PREFECT_SERVER_EVENTS_MAXIMUM_RELATED_RESOURCES",
                default.maximum_related_resources,
            )?,
            maximum_labels_per_resource: read(
                &variable,
                "PREFECT_SERVER_EVENTS_MAXIMUM_LABELS_PER_RESOURCE",
                default.maximum_labels_per_resource,
            )?,
            maximum_event_bytes: read(
                &variable,
                "PREFECT_SERVER_EVENTS_MAXIMUM_SIZE_BYTES",
                default.maximum_event_bytes,
            )?,
            event_retention: read(&variable, "PREFECT_SERVER_EVENTS_RETENTION_PERIOD", default.event_retention)?,
            auth_string: variable("PREFECT_SERVER_API_AUTH_STRING").filter(|text| !text.is_empty()),
            task_run_recorder_enabled: flag(
                &variable,
                "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_ENABLED",
                default.task_run_recorder_enabled,
            )?,
            event_persister_enabled: flag(
                &variable,
                "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_ENABLED",
                default.event_persister_enabled,
            )?,
        })
    }
}

fn read<T: FromStr>(variable: &impl Fn(&str) -> Option<String>, name: &str, default: T) -> Result<T> {
    match variable(name) {
        None => Ok(default),
        Some(text) => text.trim().parse().map_err(|_| Error::Internal(format!("{name} can't be read: {text:?}"))),
    }
}

/// Reads a switch, in the forms that pydantic takes.
pub fn flag(variable: &impl Fn(&str) -> Option<String>, name: &str, default: bool) -> Result<bool> {
    match variable(name).map(|text| text.trim().to_ascii_lowercase()).as_deref() {
        None => Ok(default),
        Some("1" | "true" | "t" | "yes" | "y" | "on") => Ok(true),
        Some("0" | "false" | "f" | "no" | "n" | "off") => Ok(false),
        Some(text) => Err(Error::Internal(format!("{name} is neither true nor false: {text:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_is_set_and_defaults_the_rest() {
        let settings = Settings::from(|name| (name == "PROCTOR_SHARDS").then(|| "3".into())).unwrap();
        assert_eq!(settings.shards, Shards(3));
        assert_eq!(settings.table, Settings::default().table);
    }

    #[test]
    fn names_the_variable_that_is_wrong() {
        let wrong = Settings::from(|name| (name == "PREFECT_SERVER_CSRF_PROTECTION_ENABLED").then(|| "maybe".into()));
        assert!(wrong.unwrap_err().to_string().contains("PREFECT_SERVER_CSRF_PROTECTION_ENABLED"));
    }
}
