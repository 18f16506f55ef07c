//! Prefect's settings: their places in the tree that `GET /admin/settings` answers, their variables and defaults.
//!
//! The table is recorded from the real server by `tests/settings/record.py`.

use std::str::FromStr;

use serde_json::{Map, Value};

use error::{Error, Result};

include!(concat!(env!("OUT_DIR"), "/settings.rs"));

/// How Prefect shows a secret that is set.
const MASK: &str = "**********";

/// Where this server is not what Prefect's defaults say, whatever the environment asks for.
const OURS: &[(&str, bool)] = &[("server.analytics_enabled", false)];

/// Whether the user interface is served; functions serve none, whatever the environment asks for.
const SERVES_PAGE: &str = "server.ui.enabled";

/// Where this server's default is another one than Prefect's, as JSON. What the environment asks for is shown as it is.
///
/// The time-out is [`crate::ServerLimits`]' own, and that log lines are told [`crate::LiveSettings`]'.
const OUR_DEFAULTS: &[(&str, &str)] =
    &[("server.api.keepalive_timeout", "30"), ("server.logs.stream_out_enabled", "true")];

/// How the text of a variable becomes a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Boolean,
    Integer,
    Number,
    Text,
    /// Text that is never shown.
    Secret,
    /// ISO 8601, or days, hours, minutes and seconds.
    Duration,
    /// A duration, or a number of seconds.
    Seconds,
    /// Values with commas between them.
    Set,
    /// JSON, or else text.
    Json,
}

/// One of Prefect's settings.
#[derive(Debug)]
pub(super) struct Setting {
    /// Its place in the tree, with dots between the levels.
    path: &'static str,
    /// The variables that set it; the first that is set wins.
    pub(super) variables: &'static [&'static str],
    kind: Kind,
    /// The default as JSON; names of other settings in braces stand for their values.
    default: &'static str,
}

impl Setting {
    /// Finds the setting that `variable` sets.
    pub(super) fn of(variable: &str) -> Option<&'static Self> {
        SETTINGS.iter().find(|setting| setting.variables.contains(&variable))
    }

    fn value(&self, variable: &impl Fn(&str) -> Option<String>) -> Result<Value> {
        if let Some((_, ours)) = OURS.iter().find(|(path, _)| *path == self.path) {
            return Ok((*ours).into());
        }
        let set = self.variables.iter().find_map(|name| Some((*name, variable(name)?)));
        let ours = OUR_DEFAULTS.iter().find(|(path, _)| *path == self.path);
        let Some((name, text)) = set else {
            return Ok(serde_json::from_str(ours.map_or(self.default, |(_, default)| default))?);
        };
        let value = self.kind.read(&text);
        value.ok_or_else(|| Error::Internal(format!("{name} can't be read: {text:?}")))
    }
}

impl Kind {
    fn read(self, text: &str) -> Option<Value> {
        match self {
            Self::Boolean => boolean(text).map(Value::from),
            Self::Integer => text.trim().parse::<i64>().ok().map(Value::from),
            Self::Number => text.trim().parse::<f64>().ok().map(Value::from),
            Self::Text => Some(text.into()),
            Self::Secret => Some(if text.is_empty() { "" } else { MASK }.into()),
            Self::Duration => duration(text).map(|duration| duration.to_string().into()),
            Self::Seconds => seconds(text).map(|duration| duration.to_string().into()),
            Self::Set => {
                Some(text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(json_or_text).collect())
            }
            Self::Json => Some(json_or_text(text)),
        }
    }
}

fn json_or_text(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| text.into())
}

/// Reads a switch, in the forms that pydantic takes.
pub(super) fn boolean(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "1" | "true" | "t" | "yes" | "y" | "on" => Some(true),
        "0" | "false" | "f" | "no" | "n" | "off" => Some(false),
        _ => None,
    }
}

/// Reads a duration, in the forms that pydantic takes.
pub(super) fn duration(text: &str) -> Option<speedate::Duration> {
    speedate::Duration::from_str(text).ok()
}

/// Reads a duration that may be a number of seconds.
fn seconds(text: &str) -> Option<speedate::Duration> {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the casts saturate, far off any use")]
    let from_number = |seconds: f64| {
        let whole = seconds.abs().trunc();
        let (days, rest) = ((whole / 86_400.0) as u32, (whole % 86_400.0) as u32);
        speedate::Duration::new(seconds >= 0.0, days, rest, (seconds.abs().fract() * 1e6).round() as u32).ok()
    };
    text.trim().parse::<f64>().map_or_else(|_| duration(text), from_number)
}

/// Returns the tree of all settings, as set by what `variable` returns, and by whether the user interface is served.
///
/// # Errors
/// Names a variable whose value can't be read.
pub(super) fn tree(variable: impl Fn(&str) -> Option<String>, serves_page: bool) -> Result<Value> {
    let mut tree = Value::Object(Map::new());
    for setting in &SETTINGS {
        let mut value = if setting.path == SERVES_PAGE { serves_page.into() } else { setting.value(&variable)? };
        if let Some(template) = value.as_str().filter(|_| setting.default.contains('{') && setting.kind == Kind::Text) {
            value = filled(template, &tree).into();
        }
        let mut place = &mut tree;
        for name in setting.path.split('.') {
            place = match place {
                Value::Object(level) => level.entry(name).or_insert_with(|| Value::Object(Map::new())),
                other => other,
            };
        }
        *place = value;
    }
    Ok(tree)
}

/// Puts the values of the settings that `template` names in braces in their places.
fn filled(template: &str, tree: &Value) -> String {
    let mut filled = String::new();
    let mut rest = template;
    while let Some((before, name, after)) =
        rest.split_once('{').and_then(|(before, rest)| rest.split_once('}').map(|(name, after)| (before, name, after)))
    {
        filled.push_str(before);
        match tree.pointer(&format!("/{}", name.replace('.', "/"))) {
            Some(Value::String(text)) => filled.push_str(text),
            Some(value) => filled.push_str(&value.to_string()),
            None => {}
        }
        rest = after;
    }
    filled.push_str(rest);
    filled
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn with(name: &'static str, text: &'static str) -> Result<Value> {
        tree(|variable| (variable == name).then(|| text.into()), false)
    }

    #[test]
    fn every_default_is_readable() {
        let tree = tree(|_| None, false).unwrap();
        assert_eq!(tree["server"]["api"]["port"], 4200);
        assert_eq!(tree["server"]["ui"]["api_url"], "http://127.0.0.1:4200/api");
        assert_eq!(tree["server"]["events"]["retention_period"], "P7D");
    }

    #[test]
    fn what_is_in_effect_is_shown() {
        let shown = |tree: Value| tree["server"]["api"]["keepalive_timeout"].clone();
        let in_effect = crate::limits::ServerLimits::default().idle_timeout.as_secs();
        assert_eq!(shown(tree(|_| None, false).unwrap()), in_effect);
        assert_eq!(shown(with("PREFECT_SERVER_API_KEEPALIVE_TIMEOUT", "12").unwrap()), 12);
        let shown = |tree: Value| tree["server"]["logs"]["stream_out_enabled"].clone();
        assert_eq!(shown(tree(|_| None, false).unwrap()), crate::LiveSettings::default().logs);
        assert_eq!(shown(with("PREFECT_SERVER_LOGS_STREAM_OUT_ENABLED", "false").unwrap()), false);
    }

    #[test]
    fn settings_of_clients_are_shown_too() {
        let shown = |tree: Value| tree["deployments"]["clear_schedules_on_empty"].clone();
        assert_eq!(shown(tree(|_| None, false).unwrap()), false);
        assert_eq!(shown(with("PREFECT_DEPLOYMENTS_CLEAR_SCHEDULES_ON_EMPTY", "true").unwrap()), true);
    }

    #[test]
    fn older_names_of_a_variable_count() {
        assert_eq!(with("PREFECT_API_DEFAULT_LIMIT", "50").unwrap()["server"]["api"]["default_limit"], 50);
    }

    #[test]
    fn what_derives_from_a_setting_follows_it() {
        let tree = with("PREFECT_HOME", "/p").unwrap();
        assert_eq!(tree["profiles_path"], "/p/profiles.toml");
    }

    #[test]
    fn secrets_are_masked() {
        let tree = with("PREFECT_SERVER_API_AUTH_STRING", "admin:pass").unwrap();
        assert_eq!(tree["server"]["api"]["auth_string"], MASK);
        assert!(!tree.to_string().contains("admin:pass"));
    }

    #[test]
    fn durations_are_written_as_upstream_writes_them() {
        for (text, expected) in [("15", "PT15S"), ("90.5", "PT1M30.5S"), ("PT90S", "PT1M30S"), ("1:00:00", "PT1H")] {
            assert_eq!(Kind::Seconds.read(text), Some(json!(expected)), "{text}");
        }
        assert_eq!(Kind::Duration.read("15"), None);
    }

    #[test]
    fn names_the_variable_that_can_not_be_read() {
        let error = with("PREFECT_WORKER_QUERY_SECONDS", "soon").unwrap_err();
        assert!(error.to_string().contains("PREFECT_WORKER_QUERY_SECONDS"));
    }
}
