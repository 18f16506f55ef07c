//! Settings, read from the environment under Prefect's names, older ones included, where Prefect has them.

mod catalogue;
mod limits;
mod live;
mod page;
mod worker_channel;

use std::{collections::BTreeMap, fmt, path::PathBuf, str::FromStr};

use catalogue::Setting;
pub use limits::ServerLimits;
pub use live::LiveSettings;
pub use page::PageSettings;
use serde_json::Value;
pub use worker_channel::WorkerChannelSettings;

use domain::{
    access::{self, Password, Secret},
    liveness::Liveness,
    model::concurrency_limit::LongestWaits,
};
use error::{Error, Result};

/// What every path of the API starts with, unless a server on one machine is told otherwise.
pub const PREFIX: &str = "/api";

/// Says whether this process is a function, whose output Lambda collects.
pub fn is_collected_by_lambda() -> bool {
    std::env::var_os("AWS_LAMBDA_FUNCTION_NAME").is_some()
}

/// The settings of a process.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "Prefect's settings, of which each stands for itself")]
pub struct Settings {
    /// The variables that these settings were read from.
    pub variables: Variables,
    /// The name of the DynamoDB table (`PROCTOR_TABLE`).
    ///
    /// At least 12 characters, because the ids of its stream's shards derive from it.
    pub table: String,
    /// Over how many partitions each collection is spread (`PROCTOR_SHARDS`), fixed for a table's life.
    pub shards: u8,
    /// The folder of what Prefect ships as data (`PROCTOR_ASSETS`), if there may be one; `proctor assets` makes it.
    pub assets: Option<PathBuf>,
    /// Whether the block types among it are installed when a server on one machine starts
    /// (`PREFECT_SERVER_REGISTER_BLOCKS_ON_START`).
    pub register_blocks_on_start: bool,
    /// The KMS key that wraps the keys of block documents (`PROCTOR_SECRETS_KEY`), by its ARN, for functions that open or
    /// seal them.
    pub secrets_key: Option<String>,
    /// The file of the key that does so instead, on one machine (`PROCTOR_KEY_FILE`).
    pub key_file: Option<PathBuf>,
    /// What every path of the API starts with (`PREFECT_SERVER_API_BASE_PATH`), for a server on one machine.
    ///
    /// Functions have the paths that API Gateway routes to them.
    pub base_path: String,
    /// How many records a page holds by default and at most (`PREFECT_SERVER_API_DEFAULT_LIMIT`).
    pub default_limit: u32,
    /// What the server asks of its callers (`PROCTOR_AUTH_MODE`: `none`, `basic` or `keys`).
    ///
    /// Where that is not set: the password of `PREFECT_SERVER_API_AUTH_STRING` if there is one, else nothing on one
    /// machine and keys in the cloud. A function may have its password in a secret (`PROCTOR_AUTH_STRING_SECRET`).
    pub access: access::Mode,
    /// For how many seconds a process goes by what it read of an API key (`PROCTOR_API_KEY_MEMORY_SECONDS`).
    ///
    /// As long may a key still work that was revoked.
    pub key_memory: f64,
    /// How long a server on one machine waits for its clients, and how much it holds for them.
    pub limits: ServerLimits,
    /// How a server on one machine shows Prefect's user interface; a function shows none.
    pub page: PageSettings,
    /// Where people find the user interface (`PREFECT_UI_URL`, or else what `PREFECT_API_URL` says), for links in what
    /// automations send.
    pub ui_url: Option<String>,
    /// Where requests are told of: in lines with metrics where Lambda collects what is printed.
    pub reports: Channel,
    /// Whether writes need a CSRF token (`PREFECT_SERVER_CSRF_PROTECTION_ENABLED`).
    pub csrf_protection_enabled: bool,
    /// How long a CSRF token holds, in seconds (`PREFECT_SERVER_CSRF_TOKEN_EXPIRATION`).
    pub csrf_token_expiration: f64,
    /// The origins whose pages may call the API (`PREFECT_SERVER_CORS_ALLOWED_ORIGINS`), with commas; `*` is any.
    pub cors_allowed_origins: String,
    /// The methods that such pages may use (`PREFECT_SERVER_CORS_ALLOWED_METHODS`), with commas; `*` is any.
    pub cors_allowed_methods: String,
    /// The headers that such pages may send (`PREFECT_SERVER_CORS_ALLOWED_HEADERS`), with commas; `*` is any.
    pub cors_allowed_headers: String,
    /// How many related resources an event may name (`PREFECT_SERVER_EVENTS_MAXIMUM_RELATED_RESOURCES`).
    pub maximum_related_resources: usize,
    /// How many labels a resource of an event may have (`PREFECT_SERVER_EVENTS_MAXIMUM_LABELS_PER_RESOURCE`).
    pub maximum_labels_per_resource: usize,
    /// How large an event may be, in bytes of JSON (`PREFECT_SERVER_EVENTS_MAXIMUM_SIZE_BYTES`).
    pub maximum_event_bytes: usize,
    /// How long events are kept, in seconds (`PREFECT_SERVER_EVENTS_RETENTION_PERIOD`).
    pub event_retention: u64,
    /// What is told to clients as it happens.
    pub live: LiveSettings,
    /// How workers are spoken to over their channels.
    pub worker_channel: WorkerChannelSettings,
    /// Whether task runs are recorded from events (`PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_ENABLED`).
    pub task_run_recorder_enabled: bool,
    /// How many nodes the graph of a flow run has at most (`PREFECT_SERVER_FLOW_RUN_GRAPH_MAX_NODES`).
    pub maximum_graph_nodes: usize,
    /// How many artifacts the graph of a flow run shows at most (`PREFECT_SERVER_FLOW_RUN_GRAPH_MAX_ARTIFACTS`).
    pub maximum_graph_artifacts: usize,
    /// Whether the server keeps the events that it emits itself (`PREFECT_SERVER_SERVICES_EVENT_PERSISTER_ENABLED`).
    ///
    /// Those of clients are kept in any case: task runs are recorded from them.
    pub event_persister_enabled: bool,
    /// Whether flow runs whose heartbeats stop become crashed (`PROCTOR_HEARTBEATS_WATCHED`).
    pub heartbeats_watched: bool,
    /// How long a flow run that sends heartbeats may be silent, in seconds (`PROCTOR_HEARTBEAT_PATIENCE`); learnt if not set.
    pub heartbeat_patience: Option<f64>,
    /// Whether webhooks and notifications may reach private networks, and from a local server the machine itself
    /// (`PROCTOR_ALLOW_PRIVATE_ADDRESSES`); if not set, a local server that only this machine reaches may.
    pub allow_private_addresses: Option<bool>,
    /// Whether automations are evaluated (`PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED`).
    pub triggers_enabled: bool,
    /// How long flow runs are kept after their end, in seconds (`PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD`).
    ///
    /// For ever, unless `PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED` names `flow_runs` or is true, as Prefect has it. An
    /// ended run is to be deleted by what held when it was written last.
    pub run_retention: Option<f64>,
    /// Whether scheduled runs are marked as late (`PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED`).
    pub late_runs_enabled: bool,
    /// How long after its scheduled time a run is late, in seconds (`PREFECT_SERVER_SERVICES_LATE_RUNS_AFTER_SECONDS`).
    pub late_runs_after: f64,
    /// How often the local server looks for what is due, in seconds (`PREFECT_SERVER_SERVICES_LATE_RUNS_LOOP_SECONDS`).
    pub timers_interval: f64,
    /// How far ahead of its time a timer is put into the queue, which delivers it on time, in seconds.
    ///
    /// More than the interval of a schedule that calls once a minute; nothing where the queue is asked all the time.
    pub timers_ahead: f64,
    /// How runs are made by schedules.
    pub scheduler: Scheduler,
    /// Whether paused runs fail at the end of their pause (`PREFECT_SERVER_SERVICES_PAUSE_EXPIRATIONS_ENABLED`).
    pub pause_expirations_enabled: bool,
    /// Whether the server cancels what belongs to cancelled runs, and ends cancellations that take too long
    /// (`PREFECT_SERVER_SERVICES_CANCELLATION_CLEANUP_ENABLED`).
    pub cancellation_cleanup_enabled: bool,
    /// How long a client is told to wait for a slot of a concurrency limit at most
    /// (`PREFECT_SERVER_TASKS_TAG_CONCURRENCY_SLOT_WAIT_SECONDS` for the limits of tags, and for others
    /// `PREFECT_SERVER_CONCURRENCY_MAXIMUM_CONCURRENCY_SLOT_WAIT_SECONDS`).
    pub longest_waits: LongestWaits,
    /// How long a flow run waits for a slot of its deployment, in seconds
    /// (`PREFECT_SERVER_DEPLOYMENTS_CONCURRENCY_SLOT_WAIT_SECONDS`).
    pub deployment_slot_wait: f64,
    /// How long a slot of a deployment is held for a run that does not renew its lease, in seconds
    /// (`PREFECT_SERVER_CONCURRENCY_INITIAL_DEPLOYMENT_LEASE_DURATION`).
    pub initial_deployment_lease: f64,
    /// When the silence of workers and pollers counts.
    pub liveness: Liveness,
    /// How long a cancellation may take, in seconds
    /// (`PREFECT_SERVER_SERVICES_CANCELLATION_CLEANUP_CANCELLING_TIMEOUT_SECONDS`).
    pub cancelling_timeout: f64,
}

/// Where it is told what happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// In the log, with its level and format.
    Log,
    /// On standard output, a line with metrics each, whatever the level of the log.
    Metrics,
}

/// How runs are made by schedules (`PREFECT_SERVER_SERVICES_SCHEDULER_*`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scheduler {
    /// Whether they are made without being asked for.
    pub enabled: bool,
    /// How soon a schedule is looked at again that is due all the time, in seconds.
    pub loop_seconds: f64,
    /// How many runs of a schedule there are ahead, at least.
    pub min_runs: usize,
    /// How many runs of a schedule are made at once, at most.
    pub max_runs: usize,
    /// How far ahead there are runs, at least, in seconds.
    pub min_scheduled_time: f64,
    /// How far ahead there are runs, at most, in seconds.
    pub max_scheduled_time: f64,
}

impl Default for Scheduler {
    fn default() -> Self {
        Self {
            enabled: true,
            loop_seconds: 60.0,
            min_runs: 3,
            max_runs: 100,
            min_scheduled_time: 3_600.0,
            max_scheduled_time: 100.0 * 86_400.0,
        }
    }
}

impl Scheduler {
    fn overridden_by(self, variables: &Variables) -> Result<Self> {
        let name = |setting: &str| format!("PREFECT_SERVER_SERVICES_SCHEDULER_{setting}");
        Ok(Self {
            enabled: variables.flag(&name("ENABLED"))?.unwrap_or(self.enabled),
            loop_seconds: variables.seconds_or_duration(&name("LOOP_SECONDS"))?.unwrap_or(self.loop_seconds),
            min_runs: variables.read(&name("MIN_RUNS"))?.unwrap_or(self.min_runs),
            max_runs: variables.read(&name("MAX_RUNS"))?.unwrap_or(self.max_runs),
            min_scheduled_time: variables.seconds(&name("MIN_SCHEDULED_TIME"))?.unwrap_or(self.min_scheduled_time),
            max_scheduled_time: variables.seconds(&name("MAX_SCHEDULED_TIME"))?.unwrap_or(self.max_scheduled_time),
        })
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            variables: Variables::default(),
            table: "proctor-records".into(),
            shards: 20,
            assets: None,
            register_blocks_on_start: true,
            secrets_key: None,
            key_file: None,
            base_path: PREFIX.into(),
            default_limit: contract::PAGE_LIMIT,
            access: access::Mode::Open,
            key_memory: 30.0,
            limits: ServerLimits::default(),
            page: PageSettings::default(),
            ui_url: None,
            reports: Channel::Log,
            csrf_protection_enabled: false,
            csrf_token_expiration: 3_600.0,
            cors_allowed_origins: "*".into(),
            cors_allowed_methods: "*".into(),
            cors_allowed_headers: "*".into(),
            maximum_related_resources: 100,
            maximum_labels_per_resource: 500,
            maximum_event_bytes: 1_500_000,
            event_retention: 7 * 24 * 3_600,
            live: LiveSettings::default(),
            worker_channel: WorkerChannelSettings::default(),
            task_run_recorder_enabled: true,
            event_persister_enabled: true,
            heartbeats_watched: true,
            heartbeat_patience: None,
            allow_private_addresses: None,
            triggers_enabled: true,
            run_retention: None,
            late_runs_enabled: true,
            late_runs_after: 15.0,
            timers_interval: 5.0,
            timers_ahead: 75.0,
            scheduler: Scheduler::default(),
            pause_expirations_enabled: true,
            cancellation_cleanup_enabled: true,
            longest_waits: LongestWaits::default(),
            deployment_slot_wait: 30.0,
            liveness: Liveness::default(),
            initial_deployment_lease: 300.0,
            cancelling_timeout: 300.0,
            maximum_graph_nodes: 10_000,
            maximum_graph_artifacts: 10_000,
        }
    }
}

impl Settings {
    /// Reads the process environment of a function, which is closed to strangers unless it is told otherwise.
    ///
    /// # Errors
    /// Names a variable whose value can't be read.
    pub fn from_env() -> Result<Self> {
        let reports = if is_collected_by_lambda() { Channel::Metrics } else { Channel::Log };
        Self { access: access::Mode::Keys, reports, ..Self::default() }.overridden_by(Variables::from_env())
    }

    /// Reads `variables` for a server on one machine, whose database knows no hot partitions to spread.
    ///
    /// # Errors
    /// Names a variable whose value can't be read.
    pub fn local(variables: Variables) -> Result<Self> {
        let base_path = variables.with("PREFECT_SERVER_API_BASE_PATH", base_path)?;
        let base_path = base_path.unwrap_or_else(|| PREFIX.into());
        let page = PageSettings { enabled: true, ..PageSettings::default() };
        let settings =
            Self { shards: 1, base_path, page, timers_ahead: 0.0, ..Self::default() }.overridden_by(variables)?;
        match &settings.access {
            access::Mode::Basic(Password::Stored(_)) => {
                Err(Error::Internal(format!("{AUTH_STRING_SECRET} is for functions; set {AUTH_STRING}")))
            }
            _ => Ok(settings),
        }
    }

    /// Reads `variables`.
    ///
    /// # Errors
    /// Names a variable whose value can't be read.
    pub fn from(variables: Variables) -> Result<Self> {
        Self::default().overridden_by(variables)
    }

    fn overridden_by(self, variables: Variables) -> Result<Self> {
        let default = self;
        let retention = variables.seconds("PREFECT_SERVER_EVENTS_RETENTION_PERIOD")?;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates")]
        let retention = retention.map_or(default.event_retention, |seconds| seconds as u64);
        Ok(Self {
            table: variables.read("PROCTOR_TABLE")?.unwrap_or(default.table),
            shards: variables.read("PROCTOR_SHARDS")?.map_or(default.shards, |shards: u8| shards.max(1)),
            assets: variables.get("PROCTOR_ASSETS").map(PathBuf::from).or(default.assets),
            register_blocks_on_start: variables
                .flag("PREFECT_SERVER_REGISTER_BLOCKS_ON_START")?
                .unwrap_or(default.register_blocks_on_start),
            secrets_key: variables.get("PROCTOR_SECRETS_KEY").map(str::to_owned).or(default.secrets_key),
            key_file: variables.get("PROCTOR_KEY_FILE").map(PathBuf::from).or(default.key_file),
            default_limit: variables.read("PREFECT_SERVER_API_DEFAULT_LIMIT")?.unwrap_or(default.default_limit),
            base_path: default.base_path,
            access: access_mode(&variables)?.unwrap_or(default.access),
            limits: default.limits.overridden_by(&variables)?,
            page: default.page.overridden_by(&variables)?,
            ui_url: ui_url(&variables).or(default.ui_url),
            reports: default.reports,
            key_memory: variables
                .read("PROCTOR_API_KEY_MEMORY_SECONDS")?
                .map_or(default.key_memory, |whole: u32| whole.into()),
            csrf_protection_enabled: variables
                .flag("PREFECT_SERVER_CSRF_PROTECTION_ENABLED")?
                .unwrap_or(default.csrf_protection_enabled),
            csrf_token_expiration: variables
                .seconds("PREFECT_SERVER_CSRF_TOKEN_EXPIRATION")?
                .unwrap_or(default.csrf_token_expiration),
            cors_allowed_origins: variables
                .read("PREFECT_SERVER_CORS_ALLOWED_ORIGINS")?
                .unwrap_or(default.cors_allowed_origins),
            cors_allowed_methods: variables
                .read("PREFECT_SERVER_CORS_ALLOWED_METHODS")?
                .unwrap_or(default.cors_allowed_methods),
            cors_allowed_headers: variables
                .read("PREFECT_SERVER_CORS_ALLOWED_HEADERS")?
                .unwrap_or(default.cors_allowed_headers),
            maximum_related_resources: variables
                .read("PREFECT_SERVER_EVENTS_MAXIMUM_RELATED_RESOURCES")?
                .unwrap_or(default.maximum_related_resources),
            maximum_labels_per_resource: variables
                .read("PREFECT_SERVER_EVENTS_MAXIMUM_LABELS_PER_RESOURCE")?
                .unwrap_or(default.maximum_labels_per_resource),
            maximum_event_bytes: variables
                .read("PREFECT_SERVER_EVENTS_MAXIMUM_SIZE_BYTES")?
                .unwrap_or(default.maximum_event_bytes),
            event_retention: retention,
            live: default.live.overridden_by(&variables)?,
            worker_channel: default.worker_channel.overridden_by(&variables)?,
            task_run_recorder_enabled: variables
                .flag("PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_ENABLED")?
                .unwrap_or(default.task_run_recorder_enabled),
            maximum_graph_nodes: variables
                .read("PREFECT_SERVER_FLOW_RUN_GRAPH_MAX_NODES")?
                .unwrap_or(default.maximum_graph_nodes),
            maximum_graph_artifacts: variables
                .read("PREFECT_SERVER_FLOW_RUN_GRAPH_MAX_ARTIFACTS")?
                .unwrap_or(default.maximum_graph_artifacts),
            event_persister_enabled: variables
                .flag("PREFECT_SERVER_SERVICES_EVENT_PERSISTER_ENABLED")?
                .unwrap_or(default.event_persister_enabled),
            heartbeats_watched: variables.flag("PROCTOR_HEARTBEATS_WATCHED")?.unwrap_or(default.heartbeats_watched),
            heartbeat_patience: variables.seconds_or_duration("PROCTOR_HEARTBEAT_PATIENCE")?,
            allow_private_addresses: variables.flag("PROCTOR_ALLOW_PRIVATE_ADDRESSES")?,
            triggers_enabled: variables
                .flag("PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED")?
                .unwrap_or(default.triggers_enabled),
            run_retention: run_retention(&variables)?.or(default.run_retention),
            late_runs_enabled: variables
                .flag("PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED")?
                .unwrap_or(default.late_runs_enabled),
            late_runs_after: variables
                .seconds_or_duration("PREFECT_SERVER_SERVICES_LATE_RUNS_AFTER_SECONDS")?
                .unwrap_or(default.late_runs_after),
            timers_interval: variables
                .seconds_or_duration("PREFECT_SERVER_SERVICES_LATE_RUNS_LOOP_SECONDS")?
                .unwrap_or(default.timers_interval),
            timers_ahead: default.timers_ahead,
            scheduler: default.scheduler.overridden_by(&variables)?,
            pause_expirations_enabled: variables
                .flag("PREFECT_SERVER_SERVICES_PAUSE_EXPIRATIONS_ENABLED")?
                .unwrap_or(default.pause_expirations_enabled),
            cancellation_cleanup_enabled: variables
                .flag("PREFECT_SERVER_SERVICES_CANCELLATION_CLEANUP_ENABLED")?
                .unwrap_or(default.cancellation_cleanup_enabled),
            longest_waits: LongestWaits {
                of_tags: variables
                    .read("PREFECT_SERVER_TASKS_TAG_CONCURRENCY_SLOT_WAIT_SECONDS")?
                    .unwrap_or(default.longest_waits.of_tags),
                of_others: variables
                    .read("PREFECT_SERVER_CONCURRENCY_MAXIMUM_CONCURRENCY_SLOT_WAIT_SECONDS")?
                    .unwrap_or(default.longest_waits.of_others),
            },
            liveness: liveness(&variables, default.liveness)?,
            deployment_slot_wait: variables
                .read("PREFECT_SERVER_DEPLOYMENTS_CONCURRENCY_SLOT_WAIT_SECONDS")?
                .unwrap_or(default.deployment_slot_wait),
            initial_deployment_lease: variables
                .read("PREFECT_SERVER_CONCURRENCY_INITIAL_DEPLOYMENT_LEASE_DURATION")?
                .unwrap_or(default.initial_deployment_lease),
            cancelling_timeout: variables
                .seconds_or_duration("PREFECT_SERVER_SERVICES_CANCELLATION_CLEANUP_CANCELLING_TIMEOUT_SECONDS")?
                .unwrap_or(default.cancelling_timeout),
            variables,
        })
    }

    /// Returns the address of the queue of jobs (`PROCTOR_QUEUE_URL`), for the functions that use it.
    ///
    /// # Errors
    /// [`Error::Internal`] if the environment does not name it.
    pub fn queue_url(&self) -> Result<String> {
        let url = self.variables.get("PROCTOR_QUEUE_URL").map(ToOwned::to_owned);
        url.ok_or_else(|| Error::Internal("PROCTOR_QUEUE_URL is not set".into()))
    }

    /// Returns all of Prefect's settings as they are in effect, in Prefect's shape, with secrets masked.
    ///
    /// # Errors
    /// Names a variable whose value can't be read.
    pub fn tree(&self) -> Result<Value> {
        catalogue::tree(|name| self.variables.0.get(name).cloned(), self.page.enabled)
    }
}

/// Reads when the silence of workers and pollers counts.
fn liveness(variables: &Variables, default: Liveness) -> Result<Liveness> {
    let number = |name: &str| variables.read::<f64>(&format!("PREFECT_SERVER_SERVICES_FOREMAN_{name}"));
    Ok(Liveness {
        enabled: variables.flag("PREFECT_SERVER_SERVICES_FOREMAN_ENABLED")?.unwrap_or(default.enabled),
        missed_heartbeats: number("INACTIVITY_HEARTBEAT_MULTIPLE")?.unwrap_or(default.missed_heartbeats),
        heartbeat_interval: number("FALLBACK_HEARTBEAT_INTERVAL_SECONDS")?.unwrap_or(default.heartbeat_interval),
        queue_timeout: number("WORK_QUEUE_LAST_POLLED_TIMEOUT_SECONDS")?.unwrap_or(default.queue_timeout),
        deployment_timeout: number("DEPLOYMENT_LAST_POLLED_TIMEOUT_SECONDS")?.unwrap_or(default.deployment_timeout),
    })
}

/// How long flow runs are kept where they are deleted at all and nothing else is said, in seconds: 90 days.
const RUN_RETENTION: f64 = 90.0 * 24.0 * 3_600.0;

/// Returns where people find the user interface, which is beside the API if nothing else is said.
fn ui_url(variables: &Variables) -> Option<String> {
    let set = |name: &str| variables.get(name).filter(|url| !url.is_empty());
    let beside = |api: &str| api.strip_suffix("/api").unwrap_or(api).to_owned();
    set("PREFECT_UI_URL").map(str::to_owned).or_else(|| set("PREFECT_API_URL").map(beside))
}

/// Reads how long ended flow runs are kept; `None` if they are not to be deleted.
fn run_retention(variables: &Variables) -> Result<Option<f64>> {
    let enabled = variables.get("PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED").unwrap_or_default();
    let is_named = |name: &str| matches!(name.trim(), "flow_runs") || catalogue::boolean(name.trim()) == Some(true);
    let retention = variables.seconds_or_duration("PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD")?;
    Ok(enabled.split(',').any(is_named).then(|| retention.unwrap_or(RUN_RETENTION)))
}

/// Reads the base path, of which the last slash is left out, as Prefect's framework does.
fn base_path(text: &str) -> Option<String> {
    let path = if text.is_empty() { PREFIX } else { text.strip_suffix('/').unwrap_or(text) };
    let is_segment = |segment: &str| {
        !segment.is_empty() && segment.chars().all(|letter| letter.is_ascii_alphanumeric() || "-._~".contains(letter))
    };
    path.strip_prefix('/').filter(|path| path.split('/').all(is_segment)).map(|_| path.to_owned())
}

/// The variable that has the password.
const AUTH_STRING: &str = "PREFECT_SERVER_API_AUTH_STRING";

/// The variable that names the secret that has the password.
const AUTH_STRING_SECRET: &str = "PROCTOR_AUTH_STRING_SECRET";

/// Reads where the password is; `None` if there is none.
fn password(variables: &Variables) -> Result<Option<Password>> {
    match (variables.get(AUTH_STRING), variables.get(AUTH_STRING_SECRET)) {
        (Some(_), Some(_)) => Err(Error::Internal(format!("both {AUTH_STRING} and {AUTH_STRING_SECRET} are set"))),
        (Some(text), None) => Ok(Some(Password::Given(Secret(text.into())))),
        (None, name) => Ok(name.map(|name| Password::Stored(name.into()))),
    }
}

/// Reads what is asked of callers; `None` if the variables don't say.
fn access_mode(variables: &Variables) -> Result<Option<access::Mode>> {
    let password = password(variables)?;
    let wrong = |problem: &str| Err(Error::Internal(format!("PROCTOR_AUTH_MODE can't be read: {problem}")));
    match (variables.get("PROCTOR_AUTH_MODE"), password) {
        (None, password) => Ok(password.map(access::Mode::Basic)),
        (Some("basic"), Some(password)) => Ok(Some(access::Mode::Basic(password))),
        (Some("basic"), None) => wrong(&format!("basic needs {AUTH_STRING}")),
        (Some("none"), None) => Ok(Some(access::Mode::Open)),
        (Some("keys"), None) => Ok(Some(access::Mode::Keys)),
        (Some("none" | "keys"), Some(_)) => wrong("a password is set, so it has to be basic"),
        (Some(other), _) => wrong(&format!("{other:?} is none of none, basic, keys")),
    }
}

/// The environment's variables that are Prefect's or ours.
#[derive(Clone, Default)]
pub struct Variables(BTreeMap<String, String>);

impl Variables {
    /// Takes them from the process environment.
    pub fn from_env() -> Self {
        let ours = |name: &str| name.starts_with("PREFECT_") || name.starts_with("PROCTOR_");
        let variables = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok().filter(|name| ours(name))?, value.into_string().ok()?))
        });
        Self(variables.collect())
    }

    /// Sets a variable, for what a command line says instead.
    pub fn set(&mut self, name: &str, value: &impl ToString) {
        self.0.insert(name.into(), value.to_string());
    }

    /// Returns the text of the setting that `name` sets, under whichever of its names.
    pub fn get(&self, name: &str) -> Option<&str> {
        match Setting::of(name) {
            None => self.0.get(name).map(String::as_str),
            Some(setting) => setting.variables.iter().find_map(|name| self.0.get(*name)).map(String::as_str),
        }
    }

    /// Reads a value.
    ///
    /// # Errors
    /// Names the variable if its text is no such value.
    pub fn read<T: FromStr>(&self, name: &str) -> Result<Option<T>> {
        self.with(name, |text| text.trim().parse().ok())
    }

    /// Reads a switch, in the forms that pydantic takes.
    ///
    /// # Errors
    /// Names the variable if its text is neither true nor false.
    pub fn flag(&self, name: &str) -> Result<Option<bool>> {
        self.with(name, catalogue::boolean)
    }

    /// Reads a duration in seconds, in the forms that pydantic takes; it must not be negative.
    ///
    /// # Errors
    /// Names the variable if its text is no such duration.
    pub fn seconds(&self, name: &str) -> Result<Option<f64>> {
        self.with(name, |text| {
            let duration = catalogue::duration(text).filter(|duration| duration.positive)?;
            let whole = f64::from(duration.day) * 86_400.0 + f64::from(duration.second);
            Some(whole + f64::from(duration.microsecond) / 1e6)
        })
    }

    /// Reads a number of seconds, or a duration.
    ///
    /// # Errors
    /// Names the variable if its value is neither.
    pub fn seconds_or_duration(&self, name: &str) -> Result<Option<f64>> {
        match self.read(name) {
            Ok(Some(seconds)) if f64::is_finite(seconds) => Ok(Some(seconds)),
            Ok(None) => Ok(None),
            _ => self.seconds(name),
        }
    }

    fn with<T>(&self, name: &str, read: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>> {
        match self.get(name) {
            None => Ok(None),
            Some(text) => {
                read(text).map(Some).ok_or_else(|| Error::Internal(format!("{name} can't be read: {text:?}")))
            }
        }
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.0.keys()).finish()
    }
}

impl<'v> FromIterator<(&'v str, &'v str)> for Variables {
    fn from_iter<I: IntoIterator<Item = (&'v str, &'v str)>>(variables: I) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(name: &str, value: &str) -> Result<Settings> {
        Settings::from([(name, value)].into_iter().collect())
    }

    #[test]
    fn reads_what_is_set_and_defaults_the_rest() {
        let settings = settings("PROCTOR_SHARDS", "3").unwrap();
        assert_eq!(settings.shards, 3);
        assert_eq!(settings.table, Settings::default().table);
    }

    #[test]
    fn there_are_assets_only_where_a_folder_is_named() {
        assert_eq!(Settings::local(Variables::default()).unwrap().assets, None);
        assert_eq!(settings("PROCTOR_ASSETS", "/opt/assets").unwrap().assets, Some("/opt/assets".into()));
    }

    #[test]
    fn names_the_variable_that_is_wrong() {
        let wrong = settings("PREFECT_SERVER_CSRF_PROTECTION_ENABLED", "maybe");
        assert!(wrong.unwrap_err().to_string().contains("PREFECT_SERVER_CSRF_PROTECTION_ENABLED"));
    }

    #[test]
    fn takes_older_and_newer_names_and_upstreams_durations() {
        assert_eq!(settings("PREFECT_API_DEFAULT_LIMIT", "7").unwrap().default_limit, 7);
        assert_eq!(settings("PREFECT_EVENTS_RETENTION_PERIOD", "P1D").unwrap().event_retention, 86_400);
        let newer = settings("PREFECT_SERVER_API_CSRF_TOKEN_EXPIRATION", "0:00:01.5").unwrap();
        assert!((newer.csrf_token_expiration - 1.5).abs() < f64::EPSILON);
    }

    #[test]
    fn one_machine_takes_another_base_path() {
        let base_path = |path| {
            Settings::local([("PREFECT_SERVER_API_BASE_PATH", path)].into_iter().collect()).map(|read| read.base_path)
        };
        assert_eq!(base_path("/v2/api/").unwrap(), "/v2/api");
        assert_eq!(base_path("").unwrap(), "/api");
        for wrong in ["/", "v2", "//v2", "/{id}", "/a b"] {
            assert!(base_path(wrong).unwrap_err().to_string().contains("BASE_PATH"), "{wrong}");
        }
        assert_eq!(settings("PREFECT_SERVER_API_BASE_PATH", "/v2").unwrap().base_path, "/api", "a function's is fixed");
    }

    #[test]
    fn a_function_asks_for_keys_and_one_machine_for_nothing_unless_told_otherwise() {
        let function = |pairs: &[(&str, &str)]| {
            let variables = pairs.iter().copied().collect();
            Settings { access: access::Mode::Keys, ..Settings::default() }
                .overridden_by(variables)
                .map(|one| one.access)
        };
        let password = ("PREFECT_SERVER_API_AUTH_STRING", "admin:pass");
        let basic = access::Mode::Basic(Password::Given(Secret(password.1.into())));
        let (stored, stored_basic) =
            ((AUTH_STRING_SECRET, "any-arn"), access::Mode::Basic(Password::Stored("any-arn".into())));
        assert_eq!(function(&[]).unwrap(), access::Mode::Keys);
        assert_eq!(function(&[password]).unwrap(), basic);
        assert_eq!(function(&[password, ("PROCTOR_AUTH_MODE", "basic")]).unwrap(), basic);
        assert_eq!(function(&[stored]).unwrap(), stored_basic);
        assert_eq!(function(&[stored, ("PROCTOR_AUTH_MODE", "basic")]).unwrap(), stored_basic);
        assert!(Settings::local([stored].into_iter().collect()).is_err(), "nobody would read it");
        assert!(function(&[password, stored]).is_err(), "which of them?");
        assert_eq!(function(&[("PROCTOR_AUTH_MODE", "none")]).unwrap(), access::Mode::Open);
        assert_eq!(Settings::local(Variables::default()).unwrap().access, access::Mode::Open);
        for contradiction in [
            vec![("PROCTOR_AUTH_MODE", "basic")],
            vec![("PROCTOR_AUTH_MODE", "open")],
            vec![("PROCTOR_AUTH_MODE", "none"), password],
            vec![("PROCTOR_AUTH_MODE", "keys"), password],
            vec![("PROCTOR_AUTH_MODE", "none"), stored],
            vec![("PROCTOR_AUTH_MODE", "keys"), stored],
        ] {
            assert!(function(&contradiction).unwrap_err().to_string().contains("PROCTOR_AUTH_MODE"));
        }
    }

    #[test]
    fn secrets_stay_out_of_debug_output() {
        let settings = settings("PREFECT_SERVER_API_AUTH_STRING", "admin:pass").unwrap();
        assert!(!format!("{settings:?}").contains("admin:pass"));
    }
}
