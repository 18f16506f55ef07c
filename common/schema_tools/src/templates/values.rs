//! Values of Python and of pydantic that templates meet: how they are looked up, compared and printed.

use std::{
    cmp::Ordering,
    collections::HashMap,
    fmt,
    sync::{Arc, OnceLock},
};

use chrono::{Datelike, Timelike};
use domain::{
    model::{Object, Timestamp},
    python,
};
use indexmap::IndexMap;
use minijinja::{
    Error, ErrorKind, State,
    value::{DynObject, Enumerator, Object as Dynamic, ObjectRepr, Serde, Value},
};
use serde_json::Value as Json;

/// Prefect's model of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "they are the names of Prefect's classes")]
pub enum Class {
    Automation,
    CompoundTrigger,
    ConcurrencyLimitV2,
    DeploymentResponse,
    EventTrigger,
    Firing,
    Flow,
    FlowRunResponse,
    ReceivedEvent,
    RelatedResource,
    Resource,
    SequenceTrigger,
    State,
    TaskRun,
    WorkPool,
    WorkQueueWithStatus,
    /// An object within a record that has no model of interest.
    Other,
}

impl Class {
    /// Returns the class of what a field of a record of this class holds, if that is a record.
    fn of_field(self, field: &str, value: &Json) -> Option<Self> {
        Some(match (self, field) {
            (Self::FlowRunResponse | Self::TaskRun, "state") => Self::State,
            (Self::Automation | Self::Firing, "trigger")
            | (Self::CompoundTrigger | Self::SequenceTrigger, "triggers") => {
                match value.get("type").and_then(Json::as_str) {
                    Some("compound") => Self::CompoundTrigger,
                    Some("sequence") => Self::SequenceTrigger,
                    _ => Self::EventTrigger,
                }
            }
            (Self::Firing, "triggering_event") => Self::ReceivedEvent,
            (Self::Firing, "triggering_firings") => Self::Firing,
            (Self::ReceivedEvent, "resource") => Self::Resource,
            (Self::ReceivedEvent, "related") => Self::RelatedResource,
            (Self::Automation, "actions" | "actions_on_trigger" | "actions_on_resolve")
            | (Self::State, "state_details")
            | (Self::DeploymentResponse, "schedules" | "global_concurrency_limit" | "concurrency_options")
            | (Self::FlowRunResponse, "created_by" | "empirical_policy")
            | (Self::TaskRun, "empirical_policy") => Self::Other,
            _ => return None,
        })
    }

    /// Returns the enumeration whose member a field of a record of this class holds.
    fn enumeration(self, field: &str) -> Option<&'static str> {
        Some(match (self, field) {
            (Self::State, "type") | (Self::FlowRunResponse | Self::TaskRun, "state_type") => "StateType",
            (Self::EventTrigger, "posture") => "Posture",
            (Self::Firing, "trigger_states") => "TriggerState",
            (Self::DeploymentResponse, "status") => "DeploymentStatus",
            (Self::WorkPool, "status") => "WorkPoolStatus",
            (Self::WorkQueueWithStatus, "status") => "WorkQueueStatus",
            _ => return None,
        })
    }

    /// Returns what a record is called after `prefect.` in the id of a resource, as far as Prefect's filter knows it.
    pub(super) fn kind(self) -> Option<&'static str> {
        Some(match self {
            Self::Automation => "automation",
            Self::DeploymentResponse => "deployment",
            Self::Flow => "flow",
            Self::FlowRunResponse => "flow-run",
            Self::TaskRun => "task-run",
            Self::WorkPool => "work-pool",
            Self::WorkQueueWithStatus => "work-queue",
            _ => return None,
        })
    }
}

/// The fields of records that hold instants.
const INSTANTS: [&str; 18] = [
    "cache_expiration",
    "created",
    "end_time",
    "expected_start_time",
    "last_polled",
    "next_scheduled_start_time",
    "occurred",
    "pause_timeout",
    "received",
    "scheduled_time",
    "start_time",
    "timestamp",
    "triggered",
    "updated",
    "expiration",
    "last_heartbeat_time",
    "last_transition_time",
    "expires",
];

/// The fields of records that hold lengths of time, in seconds.
const SPANS: [&str; 5] =
    ["estimated_run_time", "estimated_start_time_delta", "schedule_after", "total_run_time", "within"];

/// An instant, as Python's `datetime`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(pub(super) Timestamp);

impl Moment {
    fn repr(self) -> String {
        let time = self.0.as_chrono();
        let micros = time.timestamp_subsec_micros();
        let fraction = if micros == 0 { String::new() } else { format!(", {micros}") };
        let (date, clock) = (time.date_naive(), time.time());
        format!(
            "DateTime({}, {}, {}, {}, {}, {}{fraction}, tzinfo=Timezone('UTC'))",
            date.year(),
            date.month(),
            date.day(),
            clock.hour(),
            clock.minute(),
            clock.second(),
        )
    }

    fn isoformat(self, separator: char) -> String {
        let time = self.0.as_chrono();
        let micros = time.timestamp_subsec_micros();
        let fraction = if micros == 0 { String::new() } else { format!(".{micros:06}") };
        format!("{}{separator}{}{fraction}+00:00", time.format("%Y-%m-%d"), time.format("%H:%M:%S"))
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.isoformat(' '))
    }
}

impl Dynamic for Moment {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let time = self.0.as_chrono();
        Some(match key.as_str()? {
            "year" => time.year().into(),
            "month" => time.month().into(),
            "day" => time.day().into(),
            "hour" => time.hour().into(),
            "minute" => time.minute().into(),
            "second" => time.second().into(),
            "microsecond" => time.timestamp_subsec_micros().into(),
            _ => return None,
        })
    }

    fn call_method(
        self: &Arc<Self>,
        state: &mut State<'_, '_>,
        method: &str,
        arguments: &[Value],
    ) -> Result<Value, Error> {
        let time = self.0.as_chrono();
        match (method, arguments) {
            ("isoformat", []) => Ok(self.isoformat('T').into()),
            ("to_iso8601_string", []) => Ok(self.0.to_string().into()),
            #[allow(clippy::cast_precision_loss, reason = "as in Python")]
            ("timestamp", []) => Ok((self.0.as_micros() as f64 / 1e6).into()),
            ("date", []) => Ok(time.format("%Y-%m-%d").to_string().into()),
            ("time", []) => Ok(self.isoformat('T').split_at(11).1.trim_end_matches("+00:00").to_owned().into()),
            ("strftime", [format]) if format.as_str().is_some() => {
                let format = format.as_str().unwrap_or_default();
                state.consume_fuel(u64::try_from(format.len()).unwrap_or(u64::MAX))?;
                Ok(strftime(*self.as_ref(), format).into())
            }
            _ => Err(Error::from(ErrorKind::UnknownMethod)),
        }
    }

    fn custom_cmp(self: &Arc<Self>, other: &DynObject) -> Option<Ordering> {
        Some(self.as_ref().cmp(other.downcast_ref::<Self>()?))
    }

    fn render(self: &Arc<Self>, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self}")
    }
}

/// Writes an instant by a format of Python's; directives that are not known stay as they are.
fn strftime(moment: Moment, format: &str) -> String {
    let time = moment.0.as_chrono();
    let mut text = String::new();
    let mut rest = format.chars();
    while let Some(c) = rest.next() {
        if c != '%' {
            text.push(c);
            continue;
        }
        let Some(directive) = rest.next() else {
            text.push('%');
            break;
        };
        match directive {
            'f' => text.extend(format!("{:06}", time.timestamp_subsec_micros()).chars()),
            'z' => text.push_str("+0000"),
            'Z' => text.push_str("UTC"),
            'c' => text.push_str(&time.format("%a %b %e %H:%M:%S %Y").to_string()),
            '%' => text.push('%'),
            'a' | 'A' | 'b' | 'B' | 'C' | 'd' | 'D' | 'e' | 'F' | 'g' | 'G' | 'h' | 'H' | 'I' | 'j' | 'k' | 'l'
            | 'm' | 'M' | 'n' | 'p' | 'r' | 'R' | 's' | 'S' | 't' | 'T' | 'u' | 'U' | 'V' | 'w' | 'W' | 'x' | 'X'
            | 'y' | 'Y' => {
                text.push_str(&time.format(&format!("%{directive}")).to_string());
            }
            other => text.extend(['%', other]),
        }
    }
    text
}

/// A length of time, as Python's `timedelta`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Span {
    pub(super) micros: i64,
}

impl Span {
    #[allow(clippy::cast_possible_truncation, reason = "the cast saturates")]
    fn of(seconds: f64) -> Self {
        Self { micros: (seconds * 1e6).round() as i64 }
    }

    /// Returns days, seconds and microseconds, of which only the days may be negative.
    fn parts(self) -> (i64, i64, i64) {
        let (seconds, micros) = (self.micros.div_euclid(1_000_000), self.micros.rem_euclid(1_000_000));
        (seconds.div_euclid(86_400), seconds.rem_euclid(86_400), micros)
    }

    #[allow(clippy::cast_precision_loss, reason = "as in Python")]
    pub(super) fn seconds(self) -> f64 {
        self.micros as f64 / 1e6
    }

    fn repr(self) -> String {
        let (days, seconds, micros) = self.parts();
        let parts = [("days", days), ("seconds", seconds), ("microseconds", micros)];
        let told: Vec<String> =
            parts.into_iter().filter(|(_, part)| *part != 0).map(|(name, part)| format!("{name}={part}")).collect();
        if told.is_empty() {
            "datetime.timedelta(0)".into()
        } else {
            format!("datetime.timedelta({})", told.join(", "))
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, seconds, micros) = self.parts();
        match days {
            0 => {}
            1 | -1 => write!(formatter, "{days} day, ")?,
            days => write!(formatter, "{days} days, ")?,
        }
        write!(formatter, "{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)?;
        if micros == 0 { Ok(()) } else { write!(formatter, ".{micros:06}") }
    }
}

impl Dynamic for Span {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let (days, seconds, micros) = self.parts();
        Some(match key.as_str()? {
            "days" => days.into(),
            "seconds" => seconds.into(),
            "microseconds" => micros.into(),
            _ => return None,
        })
    }

    fn call_method(
        self: &Arc<Self>,
        _state: &mut State<'_, '_>,
        method: &str,
        arguments: &[Value],
    ) -> Result<Value, Error> {
        match (method, arguments) {
            ("total_seconds", []) => Ok(self.seconds().into()),
            _ => Err(Error::from(ErrorKind::UnknownMethod)),
        }
    }

    fn custom_cmp(self: &Arc<Self>, other: &DynObject) -> Option<Ordering> {
        Some(self.as_ref().cmp(other.downcast_ref::<Self>()?))
    }

    fn render(self: &Arc<Self>, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self}")
    }
}

/// An id, as Python's `UUID`, which equals no text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Id(String);

impl Dynamic for Id {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        (key.as_str()? == "hex").then(|| self.0.replace('-', "").into())
    }

    fn custom_cmp(self: &Arc<Self>, other: &DynObject) -> Option<Ordering> {
        Some(self.as_ref().cmp(other.downcast_ref::<Self>()?))
    }

    fn render(self: &Arc<Self>, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Labels that are looked up part by part, as Prefect's `LabelDiver`; as a text, the value of the label that was
/// reached.
#[derive(Clone, Debug, Default)]
pub(super) struct Labels {
    value: String,
    whole: IndexMap<String, String>,
    below: HashMap<String, Value>,
}

impl Labels {
    pub(super) fn new(labels: &Object) -> Self {
        let labels = labels.iter().filter_map(|(label, value)| Some((label.clone(), value.as_str()?.to_owned())));
        Self::with(labels.collect(), String::new())
    }

    fn with(labels: IndexMap<String, String>, value: String) -> Self {
        let mut groups: IndexMap<&str, (Option<&str>, IndexMap<String, String>)> = IndexMap::new();
        for (label, value) in &labels {
            let (head, tail) = label.split_once('.').unwrap_or((label, ""));
            let (own, below) = groups.entry(head).or_default();
            if tail.is_empty() {
                *own = Some(value);
            } else {
                below.insert(tail.to_owned(), value.clone());
            }
        }
        let below = groups.into_iter().map(|(head, (own, below))| {
            (head.to_owned(), Value::from_object(Self::with(below, own.unwrap_or_default().to_owned())))
        });
        let below = below.collect();
        Self { value, whole: labels, below }
    }

    /// Returns the value of a whole label, which is looked up in brackets.
    pub(super) fn label(&self, label: &str) -> Option<&str> {
        self.whole.get(label).map(String::as_str)
    }
}

impl Dynamic for Labels {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Iterable
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let key = key.as_str()?;
        self.below.get(key).cloned().or_else(|| self.label(key).map(Value::from))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(
            self.whole.iter().map(|(label, value)| Value::from(vec![label.clone(), value.clone()])).collect(),
        )
    }

    fn render(self: &Arc<Self>, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.value)
    }
}

/// A record.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) class: Class,
    /// What it prints with, and its JSON has, in their order.
    fields: IndexMap<String, Value>,
    /// What can be looked up besides.
    more: HashMap<&'static str, Value>,
    pub(super) json: Json,
    /// How many parts of 64 bytes it is as JSON.
    pub(super) weight: u64,
    /// The record as a text, made once: filters and tests may ask for it often, and pay for what they make of it alone.
    text: OnceLock<String>,
}

impl Model {
    /// Makes a record's value, and notes how its members of enumerations print.
    pub(super) fn value(class: Class, fields: Object, members: &mut HashMap<String, Option<String>>) -> Value {
        let json = Json::Object(fields);
        let weight = u64::try_from(json.to_string().len() / 64).unwrap_or(u64::MAX);
        let Json::Object(fields) = &json else { return Value::from(()) };
        let convert = |(name, value): (&String, &Json)| (name.clone(), field(class, name, value, members));
        let fields: IndexMap<String, Value> = fields.iter().map(convert).collect();
        let more = more(class, &fields, &json);
        Value::from_object(Self { class, fields, more, json, weight, text: OnceLock::new() })
    }

    /// Returns a field, or a label of a resource.
    pub(super) fn text_of(&self, field: &str) -> Option<String> {
        self.fields.get(field).map(ToString::to_string)
    }

    pub(super) fn moment(&self, field: &str) -> Option<Timestamp> {
        self.fields.get(field)?.downcast_object_ref::<Moment>().map(|moment| moment.0)
    }

    fn is_resource(&self) -> bool {
        matches!(self.class, Class::Resource | Class::RelatedResource)
    }

    fn name_of_class(&self) -> String {
        match self.class {
            Class::Other => match self.json.get("type").and_then(Json::as_str) {
                // The actions of automations are called as their types.
                Some(kind) => kind
                    .split('-')
                    .flat_map(|word| {
                        let mut letters = word.chars();
                        letters
                            .next()
                            .map(|first| first.to_ascii_uppercase())
                            .into_iter()
                            .chain(letters)
                            .collect::<Vec<_>>()
                    })
                    .collect(),
                None => "StateDetails".into(),
            },
            class => format!("{class:?}"),
        }
    }

    fn told(&self, members: &HashMap<String, String>, separator: &str) -> String {
        if self.is_resource() {
            return format!("root={}", python::repr(&self.json));
        }
        // Prefect's models leave these out of what they print.
        let told = self.fields.iter().filter(|(name, _)| !matches!(name.as_str(), "created" | "updated"));
        let told = told.map(|(name, value)| format!("{name}={}", repr(value, members)));
        told.collect::<Vec<_>>().join(separator)
    }

    /// Returns the record as Python's `str` writes it.
    pub(super) fn str(&self, members: &HashMap<String, String>) -> String {
        if self.class == Class::State {
            return self.state();
        }
        self.told(members, " ")
    }

    fn repr(&self, members: &HashMap<String, String>) -> String {
        if self.class == Class::State {
            let [name, message, data] =
                ["name", "message", "data"].map(|field| self.json.get(field).unwrap_or(&Json::Null));
            let (message, data) = (python::repr(message), python::repr(data));
            let kind = self.text_of("type").unwrap_or_default();
            return format!("{}(message={message}, type={kind}, result={data})", name.as_str().unwrap_or("None"));
        }
        format!("{}({})", self.name_of_class(), self.told(members, ", "))
    }

    fn state(&self) -> String {
        let text = |field| self.json.get(field).and_then(Json::as_str).unwrap_or_default();
        let (name, kind, message) = (text("name"), text("type"), text("message"));
        let mut told = Vec::new();
        if !message.is_empty() {
            told.push(python::repr_str(message));
        }
        if kind.to_lowercase() != name.to_lowercase() {
            told.push(format!("type={kind}"));
        }
        format!("{name}({})", told.join(", "))
    }
}

/// Returns what can be looked up of a record besides its fields.
fn more(class: Class, fields: &IndexMap<String, Value>, json: &Json) -> HashMap<&'static str, Value> {
    let mut more = HashMap::new();
    match (class, json) {
        (Class::Resource | Class::RelatedResource, Json::Object(labels)) => {
            let label = |label: &str| labels.get(label).and_then(Json::as_str).map_or(Value::from(()), Value::from);
            more.insert("id", label("prefect.resource.id"));
            more.insert("name", label("prefect.resource.name"));
            if class == Class::RelatedResource {
                more.insert("role", label("prefect.resource.role"));
            }
            more.insert("labels", Value::from_object(Labels::new(labels)));
            more.insert("root", of_json(json));
        }
        (Class::ReceivedEvent, _) => {
            let related: Vec<Value> =
                fields.get("related").and_then(|related| related.try_iter().ok()).into_iter().flatten().collect();
            let role = |resource: &Value| resource.get_attr("role").map(|role| role.to_string()).unwrap_or_default();
            let mut by_role: IndexMap<String, Vec<Value>> = IndexMap::new();
            for resource in &related {
                by_role.entry(role(resource)).or_default().push(resource.clone());
            }
            let first = by_role.iter().filter_map(|(role, resources)| Some((role.clone(), resources.first()?.clone())));
            more.insert("resource_in_role", Value::from_pairs(first));
            let all = by_role.iter().map(|(role, all)| (role.clone(), Value::from(all.clone())));
            more.insert("resources_in_role", Value::from_pairs(all));
            let involved: Vec<Value> = fields.get("resource").cloned().into_iter().chain(related).collect();
            more.insert("involved_resources", involved.into());
        }
        _ => {}
    }
    more
}

/// Returns a field's value, typed as in Prefect's model.
fn field(class: Class, name: &str, json: &Json, members: &mut HashMap<String, Option<String>>) -> Value {
    if matches!(class, Class::Resource | Class::RelatedResource) {
        return of_json(json);
    }
    if let Some(enumeration) = class.enumeration(name) {
        return match json {
            Json::String(member) => self::member(enumeration, member, members),
            Json::Array(all) => {
                all.iter().filter_map(Json::as_str).map(|member| self::member(enumeration, member, members)).collect()
            }
            other => of_json(other),
        };
    }
    let of = |item: &Json, members: &mut _| match (class.of_field(name, item), item) {
        (Some(within), Json::Object(fields)) => Some(Model::value(within, fields.clone(), members)),
        _ => None,
    };
    match json {
        Json::Object(_) => of(json, members).unwrap_or_else(|| of_json(json)),
        Json::Array(items) if items.iter().all(Json::is_object) && !items.is_empty() => {
            let made: Option<Vec<Value>> = items.iter().map(|item| of(item, members)).collect();
            made.map_or_else(|| of_json(json), Value::from)
        }
        Json::String(text) => match text.parse() {
            Ok(moment) if INSTANTS.contains(&name) => Value::from_object(Moment(moment)),
            _ if (name == "id" || name == "follows" || name.ends_with("_id")) && is_id(text) => {
                Value::from_object(Id(text.clone()))
            }
            _ => Value::from(text.as_str()),
        },
        Json::Number(seconds) if SPANS.contains(&name) => {
            Value::from_object(Span::of(seconds.as_f64().unwrap_or_default()))
        }
        other => of_json(other),
    }
}

fn is_id(text: &str) -> bool {
    let is_right =
        |(place, c): (usize, char)| if [8, 13, 18, 23].contains(&place) { c == '-' } else { c.is_ascii_hexdigit() };
    text.len() == 36 && text.chars().enumerate().all(is_right)
}

/// Returns a member of an enumeration, and notes how it prints; not if two enumerations have it.
fn member(enumeration: &str, member: &str, members: &mut HashMap<String, Option<String>>) -> Value {
    let told = format!("{enumeration}.{member}");
    let noted = members.entry(member.to_owned()).or_insert_with(|| Some(told.clone()));
    if noted.as_ref() != Some(&told) {
        *noted = None;
    }
    Value::from_safe_string(member.to_owned())
}

impl Dynamic for Model {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let key = key.as_str()?;
        self.more.get(key).or_else(|| self.fields.get(key)).cloned()
    }

    fn call_method(
        self: &Arc<Self>,
        state: &mut State<'_, '_>,
        method: &str,
        arguments: &[Value],
    ) -> Result<Value, Error> {
        state.consume_fuel(self.weight)?;
        let label = |label: &str| self.fields.get(label).cloned();
        let text = |place: usize| arguments.get(place).and_then(Value::as_str);
        match (method, arguments.len()) {
            ("get", 1 | 2) if self.is_resource() => {
                let missing = || arguments.get(1).cloned().unwrap_or(Value::from(()));
                Ok(text(0).and_then(label).unwrap_or_else(missing))
            }
            ("keys", 0) if self.is_resource() => Ok(self.fields.keys().cloned().collect()),
            ("items", 0) if self.is_resource() => Ok(self
                .fields
                .iter()
                .map(|(label, value)| Value::from(vec![Value::from(label), value.clone()]))
                .collect()),
            ("find_resource_label", 1) if self.class == Class::ReceivedEvent => {
                Ok(text(0).and_then(|label| self.resource_label(label)).map_or(Value::from(()), Value::from))
            }
            ("model_dump_json" | "json", 0) => Ok(self.json.to_string().into()),
            _ => Err(Error::from(ErrorKind::UnknownMethod)),
        }
    }

    fn render(self: &Arc<Self>, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.text.get_or_init(|| self.str(&HashMap::new())))
    }
}

impl Model {
    /// Finds a label of the event's resource, or of the related one that `related:<role>:<label>` names.
    fn resource_label(&self, label: &str) -> Option<&str> {
        let (directive, name) = label.rsplit_once(':').unwrap_or(("", label));
        match directive.split_once(':') {
            Some(("related", role)) => {
                let mut related = self.json.get("related")?.as_array()?.iter();
                related
                    .find(|related| related.get("prefect.resource.role").and_then(Json::as_str) == Some(role))?
                    .get(name)
            }
            _ => self.json.get("resource")?.get(label),
        }?
        .as_str()
    }
}

/// Returns JSON as a value.
pub(super) fn of_json(json: &Json) -> Value {
    Value::from(Serde(json))
}

/// Says whether a value prints otherwise than its `repr`: an instant, a length of time, an id, or labels.
pub(super) fn is_plain(value: &Value) -> bool {
    value.downcast_object_ref::<Moment>().is_some()
        || value.downcast_object_ref::<Span>().is_some()
        || value.downcast_object_ref::<Id>().is_some()
        || value.downcast_object_ref::<Labels>().is_some()
}

/// Returns a value as Python's `repr` writes it.
pub(super) fn repr(value: &Value, members: &HashMap<String, String>) -> String {
    if let Some(model) = value.downcast_object_ref::<Model>() {
        return model.repr(members);
    }
    if let Some(moment) = value.downcast_object_ref::<Moment>() {
        return moment.repr();
    }
    if let Some(span) = value.downcast_object_ref::<Span>() {
        return span.repr();
    }
    if let Some(Id(id)) = value.downcast_object_ref::<Id>() {
        return format!("UUID('{id}')");
    }
    if let Some(told) = value.as_str().filter(|_| value.is_safe()).and_then(|member| members.get(member)) {
        return told.clone();
    }
    if let (true, Ok(items)) = (has_models(value), value.try_iter()) {
        let items: Vec<String> = items.map(|item| repr(&item, members)).collect();
        return format!("[{}]", items.join(", "));
    }
    match serde_json::to_value(value) {
        Ok(json) => python::repr(&json),
        Err(_) => value.to_string(),
    }
}

/// Says whether a value is a list that has something of ours in it.
fn has_models(value: &Value) -> bool {
    let is_ours = |item: Value| {
        item.downcast_object_ref::<Model>().is_some() || is_plain(&item) || item.is_safe() || has_models(&item)
    };
    value.kind() == minijinja::value::ValueKind::Seq && value.try_iter().is_ok_and(|mut items| items.any(is_ours))
}
