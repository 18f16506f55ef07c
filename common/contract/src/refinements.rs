//! What the contract can't say: Prefect's hand-written validators, by component and field.
//!
//! The contract carries types, bounds and patterns. Defaults that come from factories, strictness and validators
//! written in Python are not in it; this file is the whole list of those, found by comparing the contract with the
//! Prefect's pydantic models.

use std::{
    io::{self, Write},
    sync::LazyLock,
};

use serde_json::{Map, Value, json};

use super::{ParameterCheck, TemplateCheck, base_job_template, fault::Complaint, scalar};
use domain::{
    model::{
        Timestamp,
        automation::{Action, Trigger},
    },
    run_loops, schedule,
};

/// The most bytes of a run's parameters as JSON (`PREFECT_SERVER_API_MAX_PARAMETER_SIZE`).
const PARAMETER_BYTES: usize = 512 * 1024;
/// The most characters of a task run's cache key (`PREFECT_SERVER_TASKS_MAX_CACHE_KEY_LENGTH`).
const CACHE_KEY_CHARACTERS: usize = 2000;
/// The most runs that a schedule makes ahead (`PREFECT_DEPLOYMENT_SCHEDULE_MAX_SCHEDULED_RUNS`).
const SCHEDULED_RUNS: i64 = 50;
/// The most delays that a task's retries may have.
const RETRY_DELAYS: usize = 50;
/// The most characters of an event's name (`PREFECT_SERVER_EVENTS_MAXIMUM_EVENT_NAME_LENGTH`).
const EVENT_NAME_CHARACTERS: usize = 1024;
/// The most labels of an event's resource (`PREFECT_SERVER_EVENTS_MAXIMUM_LABELS_PER_RESOURCE`).
const RESOURCE_LABELS: usize = 500;
/// The most related resources of an event (`PREFECT_SERVER_EVENTS_MAXIMUM_RELATED_RESOURCES`).
const RELATED_RESOURCES: usize = 100;

/// The most characters of a variable's name (`MAX_VARIABLE_NAME_LENGTH`).
const VARIABLE_NAME_CHARACTERS: usize = 255;
/// The most bytes of a variable's value as JSON (`MAX_VARIABLE_VALUE_LENGTH`).
const VARIABLE_BYTES: usize = 5000;
/// How deep a variable's value may be nested: as deep as Prefect's `orjson` writes.
const VARIABLE_DEPTH: usize = 254;
/// For how many seconds a proactive trigger waits at least.
const PROACTIVE_SECONDS: f64 = 10.0;

/// Something that holds for one field beyond its schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FieldRule {
    /// The members of the field's union don't convert.
    Strict,
    /// The default comes from a factory; given as JSON.
    DefaultsTo(&'static str),
    /// The time is read by pydantic alone, not by Prefect's `DateTime`.
    PlainDateTime,
    /// The list is declared as a `Sequence`.
    Sequence,
    /// The name of a run: whatever Python holds for false stands for a name that the server makes up, here null.
    RunName,
    /// A name is more than spaces and quotes.
    NotBlank,
    /// A name, introduced in the error by these words, has only lower-case letters, digits and dashes.
    Dashed(&'static str),
    /// A variable's name has only lower-case letters, digits, dashes and underscores, which are counted after that.
    VariableName,
    /// The parameters of a run may not be larger than 512 KiB.
    Parameters,
    /// A schedule makes at most 50 runs ahead.
    ScheduledRuns,
    /// A cache key has at most 2000 characters.
    CacheKey,
    /// A task has at most 50 retry delays.
    RetryDelays,
    /// A jitter factor isn't negative.
    Jitter,
    /// A variable's value is not larger than 5000 bytes, and not nested deeper than Prefect can write it.
    VariableValue,
    /// An event's name has at most 1024 characters.
    EventName,
    /// An event has at most 100 related resources.
    RelatedResources,
    /// A base job template describes a job, and declares the variables that it uses.
    BaseJobTemplate,
    /// An interval is more than no time.
    PositiveInterval,
    /// A cron expression is one that schedules know.
    Cron,
    /// A recurrence rule is one that schedules know.
    RRule,
    /// The literals are members of the Python enumeration of this name.
    MembersOf(&'static str),
    /// What resources have to be like is read as such before the members of the union are tried.
    Specification,
    /// A time that pydantic bounds by zero.
    FromZeroSeconds,
    /// A time that Prefect bounds by zero, introduced in the error by these words.
    NotNegative(&'static str),
    /// A template, introduced in the error by these words.
    Template(&'static str),
    /// A text, or a value that is written as JSON.
    JsonText,
    /// The parameters of a run that an action creates, with templates in them.
    TemplateParameters,
    /// The rules of a component that is a dictionary.
    Model(&'static [ModelRule]),
}

/// Something that holds for a whole component beyond its schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ModelRule {
    /// Retries given by their deprecated names are taken over, before validation.
    DeprecatedRetries,
    /// A state without a name is named after its type, a scheduled state without a time is due now.
    StateDefaults,
    /// A resource has at most 500 labels.
    ResourceLabels,
    /// A resource has an id.
    ResourceId,
    /// A related resource has a role.
    ResourceRole,
    /// A new deployment without parameters has none, before validation, and so also in the body that errors echo.
    ParametersGiven,
    /// A deployment has a limit of its own or names one, not both.
    OneLimit,
    /// The parameters of a new deployment that is said to enforce their schema fit it.
    EnforcedParameters,
    /// The fields that clients before 2.7.7 name a deployment's pool and queue by count for nothing.
    OldPoolFields,
    /// A block document that isn't anonymous has a name.
    BlockName,
    /// An action on a selected thing, here by its name, has that thing's id, and one on an inferred thing hasn't.
    Selected(&'static str),
    /// A compound trigger requires at least one and at most all of its triggers.
    Require,
    /// A schedule's time zone exists.
    TimeZone,
    /// A proactive trigger waits for ten seconds at least, and for as many where it doesn't say how long.
    ProactiveWithin,
    /// An automation does not run deployments without end.
    RunLoops,
}

use FieldRule as F;
use ModelRule as M;

/// The fields that the contract alone doesn't describe: component (or operation id), field, rules from inner to outer.
const FIELDS: &[(&str, &str, &[FieldRule])] = &[
    ("FlowCreate", "labels", &[F::Strict, F::DefaultsTo("{}")]),
    ("FlowRunCreate", "labels", &[F::Strict, F::DefaultsTo("{}")]),
    ("FlowRunCreate", "name", &[F::RunName]),
    ("FlowRunCreate", "parameters", &[F::Parameters]),
    ("FlowRunUpdate", "name", &[F::RunName]),
    ("FlowRunUpdate", "parameters", &[F::Parameters]),
    ("FlowRunPolicy", "pause_keys", &[F::DefaultsTo("[]")]),
    ("TaskRunCreate", "labels", &[F::Strict, F::DefaultsTo("{}")]),
    ("TaskRunCreate", "name", &[F::RunName]),
    ("TaskRunCreate", "cache_key", &[F::CacheKey]),
    ("TaskRunUpdate", "name", &[F::RunName]),
    ("TaskRunPolicy", "retry_delay", &[F::RetryDelays]),
    ("TaskRunPolicy", "retry_jitter_factor", &[F::Jitter]),
    ("Event", "event", &[F::EventName]),
    ("Event", "related", &[F::RelatedResources]),
    ("create_logs_logs__post", "body", &[F::Sequence]),
    ("read_flow_run_graph_v2_flow_runs__id__graph_v2_get", "since", &[F::PlainDateTime]),
    ("DeploymentCreate", "labels", &[F::Strict, F::DefaultsTo("{}")]),
    ("DeploymentCreate", "parameter_openapi_schema", &[F::DefaultsTo(r#"{"type":"object","properties":{}}"#)]),
    ("DeploymentCreate", "parameters", &[F::Parameters]),
    ("DeploymentUpdate", "parameters", &[F::Parameters]),
    ("DeploymentScheduleCreate", "max_scheduled_runs", &[F::ScheduledRuns]),
    ("DeploymentScheduleUpdate", "max_scheduled_runs", &[F::ScheduledRuns]),
    ("DeploymentFlowRunCreate", "labels", &[F::Strict]),
    ("DeploymentFlowRunCreate", "name", &[F::RunName]),
    ("DeploymentFlowRunCreate", "parameters", &[F::Parameters]),
    ("DeploymentFlowRunCreate", "job_variables", &[F::DefaultsTo("{}")]),
    ("Body_schedule_deployment_deployments__id__schedule_post", "start_time", &[F::PlainDateTime]),
    ("Body_schedule_deployment_deployments__id__schedule_post", "end_time", &[F::PlainDateTime]),
    ("ArtifactCreate", "key", &[F::Dashed("Artifact key")]),
    ("BlockDocumentCreate", "name", &[F::Dashed("Block document name")]),
    ("BlockTypeCreate", "slug", &[F::Dashed("Block type slug")]),
    ("VariableCreate", "name", &[F::VariableName]),
    ("VariableUpdate", "name", &[F::VariableName]),
    ("EventTrigger-Input", "match", &[F::Specification, F::DefaultsTo("{}")]),
    ("EventTrigger-Input", "match_related", &[F::Specification, F::DefaultsTo("{}")]),
    ("EventTrigger-Input", "posture", &[F::MembersOf("Posture")]),
    ("EventTrigger-Input", "within", &[F::FromZeroSeconds, F::DefaultsTo("0.0")]),
    ("RunDeployment-Input", "parameters", &[F::TemplateParameters]),
    ("RunDeployment-Input", "schedule_after", &[F::NotNegative("schedule_after"), F::DefaultsTo("0.0")]),
    ("SendNotification", "subject", &[F::Template("subject")]),
    ("SendNotification", "body", &[F::Template("body")]),
    ("CallWebhook", "payload", &[F::JsonText, F::Template("payload")]),
    ("WorkPoolCreate", "name", &[F::NotBlank]),
    ("WorkPoolCreate", "base_job_template", &[F::BaseJobTemplate, F::DefaultsTo("{}")]),
    ("WorkPoolUpdate", "base_job_template", &[F::BaseJobTemplate]),
    ("VariableCreate", "value", &[F::Strict, F::VariableValue]),
    ("VariableUpdate", "value", &[F::Strict, F::VariableValue]),
    ("IntervalSchedule-Input", "interval", &[F::PositiveInterval]),
    ("CronSchedule", "cron", &[F::Cron]),
    ("RRuleSchedule", "rrule", &[F::RRule]),
];

/// The components that the contract alone doesn't describe, with their rules from inner to outer.
const MODELS: &[(&str, &[ModelRule])] = &[
    ("StateCreate", &[M::StateDefaults]),
    ("FlowRunPolicy", &[M::DeprecatedRetries]),
    ("TaskRunPolicy", &[M::DeprecatedRetries]),
    ("Resource", &[M::ResourceLabels, M::ResourceId]),
    ("DeploymentCreate", &[M::OneLimit, M::EnforcedParameters, M::ParametersGiven, M::OldPoolFields]),
    ("DeploymentUpdate", &[M::OneLimit, M::OldPoolFields]),
    ("BlockDocumentCreate", &[M::BlockName]),
    ("RunDeployment-Input", &[M::Selected("deployment")]),
    ("PauseDeployment", &[M::Selected("deployment")]),
    ("ResumeDeployment", &[M::Selected("deployment")]),
    ("PauseWorkPool", &[M::Selected("work_pool")]),
    ("ResumeWorkPool", &[M::Selected("work_pool")]),
    ("PauseWorkQueue", &[M::Selected("work_queue")]),
    ("ResumeWorkQueue", &[M::Selected("work_queue")]),
    ("PauseAutomation", &[M::Selected("automation")]),
    ("ResumeAutomation", &[M::Selected("automation")]),
    ("CompoundTrigger-Input", &[M::Require]),
    ("EventTrigger-Input", &[M::ProactiveWithin]),
    ("AutomationCreate", &[M::RunLoops]),
    ("AutomationUpdate", &[M::RunLoops]),
    ("IntervalSchedule-Input", &[M::TimeZone]),
    ("CronSchedule", &[M::TimeZone]),
    ("RelatedResource", &[M::ResourceLabels, M::ResourceId, M::ResourceRole]),
];

/// The headers that an operation reads though the contract leaves them out: operation id, header, whether it is a UUID.
const HIDDEN_HEADERS: &[(&str, &str, bool)] = &[
    ("create_flow_run_flow_runs__post", "prefect-automation-id", true),
    ("create_flow_run_flow_runs__post", "prefect-automation-name", false),
    ("create_deployment_deployments__post", "prefect-automation-id", true),
    ("create_deployment_deployments__post", "prefect-automation-name", false),
    ("create_flow_run_from_deployment_deployments__id__create_flow_run_post", "prefect-automation-id", true),
    ("create_flow_run_from_deployment_deployments__id__create_flow_run_post", "prefect-automation-name", false),
    ("bulk_create_flow_runs_from_deployment_deployments__id__create_flow_run_bulk_post", "prefect-automation-id", true),
    (
        "bulk_create_flow_runs_from_deployment_deployments__id__create_flow_run_bulk_post",
        "prefect-automation-name",
        false,
    ),
];

/// Returns the rules of a field.
pub(super) fn of_field(owner: &str, field: &str) -> &'static [FieldRule] {
    FIELDS.iter().find(|(component, name, _)| *component == owner && *name == field).map_or(&[], |(.., rules)| rules)
}

/// Returns the rules of a component.
pub(super) fn of_model(component: &str) -> &'static [ModelRule] {
    MODELS.iter().find(|(name, _)| *name == component).map_or(&[], |(_, rules)| rules)
}

/// Returns the headers, each with whether it is a UUID, that an operation reads beyond the contract.
pub(super) fn hidden_headers(operation: &str) -> impl Iterator<Item = (&'static str, bool)> {
    HIDDEN_HEADERS.iter().filter(move |(id, ..)| *id == operation).map(|(_, header, uuid)| (*header, *uuid))
}

/// Returns the schema of a hidden header.
pub(super) fn hidden_header_schema(uuid: bool) -> &'static Value {
    static SCHEMAS: LazyLock<[Value; 2]> = LazyLock::new(|| {
        let optional = |schema: Value| json!({"anyOf": [schema, {"type": "null"}]});
        [optional(json!({"type": "string"})), optional(json!({"type": "string", "format": "uuid"}))]
    });
    let [text, id] = &*SCHEMAS;
    if uuid { id } else { text }
}

/// Tells whether a path parameter that is a UUID is one to Prefect's router too; the lease's id is only validated.
pub(super) fn routed_as_uuid(parameter: &str) -> bool {
    parameter != "lease_id"
}

/// Tells whether a body's field is the limit of a page, which a dependency of Prefect reads and bounds.
pub(super) fn is_page_limit(name: &str, schema: &Value, required: bool) -> bool {
    name == "limit" && !required && schema.get("default").is_none() && schema.get("type") == Some(&json!("integer"))
}

/// How pydantic names the validator of [`ModelRule::Require`].
const REQUIRE: &str = "function-after[validate_require(), ";

/// Returns how a model is named in a union's locations where it lies within itself, if that is otherwise: a compound
/// trigger in another one, however deep, is validated once.
pub(super) fn label_within_itself(rules: &[ModelRule], label: &str) -> Option<String> {
    let once = label.strip_prefix(REQUIRE)?.strip_suffix(']')?;
    rules.contains(&M::Require).then(|| once.to_owned())
}

/// Names a model as pydantic does in a union's locations, with the validators that lie around it.
pub(super) fn wrapped_label(rules: &[ModelRule], name: &str) -> String {
    rules.iter().fold(name.to_owned(), |label, rule| match rule {
        M::StateDefaults => {
            format!("function-after[default_scheduled_start_time(), function-after[default_name_from_type(), {label}]]")
        }
        M::ResourceLabels => format!("function-after[enforce_maximum_labels(), {label}]"),
        M::ResourceId => format!("function-after[requires_resource_id(), {label}]"),
        M::ResourceRole => format!("function-after[requires_resource_role(), {label}]"),
        M::Selected(thing) => format!("function-after[selected_{thing}_requires_id(), {label}]"),
        // Prefect's pydantic applies this one twice.
        M::Require => format!("{REQUIRE}{REQUIRE}{label}]]"),
        M::TimeZone => format!("function-after[validate_timezone(), {label}]"),
        M::DeprecatedRetries
        | M::ParametersGiven
        | M::OneLimit
        | M::EnforcedParameters
        | M::OldPoolFields
        | M::ProactiveWithin
        | M::RunLoops
        | M::BlockName => label,
    })
}

/// Applies what comes before the schema: a value that needs no further validation, or a complaint.
pub(super) fn before(rule: FieldRule, input: &Value) -> Result<Option<Value>, Complaint> {
    match rule {
        F::RunName if is_falsy(input) => Ok(Some(Value::Null)),
        F::NotBlank if input.as_str().is_some_and(|name| name.trim_matches(['\'', ' ', '"']).is_empty()) => {
            Err(Complaint::value_error("name cannot be an empty string"))
        }
        F::JsonText
            if !input.is_null() && (!input.is_string() || domain::json::large_integer::digits(input).is_some()) =>
        {
            Ok(domain::json::to_string_pretty(input).ok().map(Value::String))
        }
        F::VariableName => variable_name(input).map(|()| None),
        F::VariableValue => variable_value(input).map(|()| None),
        _ => Ok(None),
    }
}

/// Applies what comes after the schema.
pub(super) fn after(rule: FieldRule, value: &mut Value, templates: Option<TemplateCheck>) -> Result<(), Complaint> {
    match (rule, value) {
        (F::Parameters, Value::Object(parameters)) if !parameters.is_empty() => {
            let bytes = python_json_bytes(&*parameters);
            if bytes > PARAMETER_BYTES {
                return Err(Complaint::value_error(&format!(
                    "Flow run parameters must be less than {} bytes when serialized (got {} bytes).",
                    thousands(PARAMETER_BYTES),
                    thousands(bytes)
                )));
            }
            Ok(())
        }
        (F::CacheKey, Value::String(key)) if key.chars().count() > CACHE_KEY_CHARACTERS => {
            let msg = format!("Cache key exceeded maximum allowed length of {CACHE_KEY_CHARACTERS} characters.");
            Err(Complaint::value_error(&msg))
        }
        (F::ScheduledRuns, Value::Number(runs)) if runs.as_i64().is_none_or(|runs| runs > SCHEDULED_RUNS) => {
            let msg = format!("`max_scheduled_runs` must be less than or equal to {SCHEDULED_RUNS}.");
            Err(Complaint::value_error(&msg))
        }
        (F::RetryDelays, Value::Array(delays)) if delays.len() > RETRY_DELAYS => {
            Err(Complaint::value_error("Can not configure more than 50 retry delays per task."))
        }
        (F::Jitter, Value::Number(factor)) if factor.as_f64().is_some_and(|factor| factor < 0.0) => {
            Err(Complaint::value_error("`retry_jitter_factor` must be >= 0."))
        }
        (F::EventName, Value::String(name)) if name.chars().count() > EVENT_NAME_CHARACTERS => {
            Err(Complaint::value_error(&format!("Event name must be at most {EVENT_NAME_CHARACTERS} characters")))
        }
        (F::RelatedResources, Value::Array(related)) if related.len() > RELATED_RESOURCES => {
            Err(Complaint::value_error(&format!("The maximum number of related resources is {RELATED_RESOURCES}")))
        }
        (F::Dashed(who), Value::String(name)) if !is_plain(name, "-") => {
            Err(Complaint::value_error(&format!("{who} must only contain lowercase letters, numbers, and dashes.")))
        }
        (F::PositiveInterval, Value::Number(seconds)) if seconds.as_f64().is_none_or(|seconds| seconds <= 0.0) => {
            Err(Complaint::value_error("interval must be positive"))
        }
        (F::Cron, Value::String(cron)) => schedule::check_cron(cron).map_err(|why| Complaint::value_error(&why)),
        (F::RRule, Value::String(rule)) => schedule::check_rrule(rule).map_err(|why| Complaint::value_error(&why)),
        (F::BaseJobTemplate, Value::Object(template)) => {
            base_job_template::check(template).map_err(|why| Complaint::value_error(&why))
        }
        (F::FromZeroSeconds, Value::Number(seconds)) if seconds.as_f64().is_some_and(|seconds| seconds < 0.0) => {
            let limit = "0 seconds";
            let msg = format!("Input should be greater than or equal to {limit}");
            Err(Complaint::new("greater_than_equal", msg).with("ge", limit))
        }
        (F::NotNegative(name), Value::Number(seconds)) if seconds.as_f64().is_some_and(|seconds| seconds < 0.0) => {
            Err(Complaint::value_error(&format!("{name} must be non-negative")))
        }
        (F::Template(name), Value::String(text)) => {
            let check = templates.map_or(uncheckable as fn(&str) -> _, |templates| templates.text);
            check(text).map_err(|why| Complaint::value_error(&format!("'{name}' is not a valid template: {why}")))
        }
        (F::TemplateParameters, Value::Object(parameters)) => {
            let check = templates.map_or(uncheckable as fn(&Map<_, _>) -> _, |templates| templates.parameters);
            check(parameters).map_err(|why| Complaint::value_error(&why))
        }
        (F::Model(rules), Value::Object(fields)) => complete(rules, fields),
        _ => Ok(()),
    }
}

/// Refuses templates where the route brought nothing along to check them with; a test sees to it that those concerned do.
fn uncheckable<T: ?Sized>(_: &T) -> Result<(), String> {
    Err("Templates can't be checked here".to_owned())
}

/// Applies what comes after the schema of a whole component.
pub(super) fn complete(rules: &[ModelRule], fields: &mut Map<String, Value>) -> Result<(), Complaint> {
    for rule in rules {
        match rule {
            M::StateDefaults => complete_state(fields),
            M::ResourceLabels if fields.len() > RESOURCE_LABELS => {
                let msg = format!("The maximum number of labels per resource is {RESOURCE_LABELS}");
                return Err(Complaint::value_error(&msg));
            }
            M::Selected(thing) => require_selected(fields, thing)?,
            M::Require => require_triggers(fields)?,
            M::ResourceLabels
            | M::DeprecatedRetries
            | M::ParametersGiven
            | M::OneLimit
            | M::EnforcedParameters
            | M::OldPoolFields
            | M::ProactiveWithin
            | M::BlockName => {}
            M::RunLoops => check_run_loops(fields)?,
            M::TimeZone => {
                let zone = fields.get("timezone").and_then(Value::as_str).unwrap_or_default();
                schedule::check_time_zone(zone).map_err(|why| Complaint::value_error(&why))?;
            }
            M::ResourceId => require_label(fields, "prefect.resource.id", "Resources")?,
            M::ResourceRole => require_label(fields, "prefect.resource.role", "Related Resources")?,
        }
    }
    Ok(())
}

/// Checks a model's input as a whole, before validation; its parameters by `check`, if they are to fit their schema.
pub(super) fn precondition(
    rules: &[ModelRule],
    sent: &Map<String, Value>,
    check: Option<ParameterCheck>,
) -> Result<(), Complaint> {
    let given = |field: &str| sent.get(field).is_some_and(|value| !is_falsy(value));
    if rules.contains(&M::BlockName) && !given("is_anonymous") && !given("name") {
        return Err(Complaint::value_error("Names must be provided for block documents."));
    }
    if rules.contains(&M::OneLimit) && given("concurrency_limit") && given("global_concurrency_limit_id") {
        let msg = "A deployment cannot have both a concurrency limit and a global concurrency limit.";
        return Err(Complaint::value_error(msg));
    }
    if rules.contains(&M::ProactiveWithin) {
        check_within(sent)?;
    }
    if rules.contains(&M::EnforcedParameters) && given("enforce_parameter_schema") {
        return enforce(sent.get("parameters"), sent.get("parameter_openapi_schema"), check);
    }
    Ok(())
}

/// Holds the parameters of a new deployment against their schema, neither of which has been validated.
fn enforce(parameters: Option<&Value>, schema: Option<&Value>, check: Option<ParameterCheck>) -> Result<(), Complaint> {
    let none = Value::Object(Map::new());
    let Some(schema) = schema.filter(|schema| !schema.is_null()) else { return Ok(()) };
    let parameters = parameters.unwrap_or(&none);
    if parameters.is_null() {
        return Ok(());
    }
    // What nobody can check is refused; a test sees to it that the routes concerned bring the check along.
    let check = check.unwrap_or(|_, _| Err("The parameters can't be checked here".to_owned()));
    check(parameters, schema).map_err(|why| Complaint::value_error(&why))
}

/// Tells whether one of the rules holds parameters against a schema.
pub(super) fn checks_parameters(rules: &[ModelRule]) -> bool {
    rules.contains(&M::EnforcedParameters)
}

/// Tells whether one of the rules of a field holds texts for templates.
pub(super) fn checks_templates(rules: &[FieldRule]) -> bool {
    rules.iter().any(|rule| matches!(rule, F::Template(_) | F::TemplateParameters))
}

/// Tells whether one of the rules rewrites the model's input.
pub(super) fn rewrites(rules: &[ModelRule]) -> bool {
    let rewriting = |rule: &ModelRule| {
        matches!(rule, M::DeprecatedRetries | M::ParametersGiven | M::OldPoolFields | M::ProactiveWithin)
    };
    rules.iter().any(rewriting)
}

/// Rewrites a model's input, before validation.
pub(super) fn prepare(rules: &[ModelRule], sent: &mut Map<String, Value>, check: Option<ParameterCheck>) {
    // What is refused as a whole is echoed as it was sent.
    let lacks_parameters = rules.contains(&M::ParametersGiven) && !sent.contains_key("parameters");
    if lacks_parameters && precondition(rules, sent, check).is_ok() {
        sent.insert("parameters".to_owned(), Value::Object(Map::new()));
    }
    if rules.contains(&M::OldPoolFields) {
        for old in ["worker_pool_queue_id", "worker_pool_name", "worker_pool_queue_name", "work_pool_queue_name"] {
            sent.shift_remove(old);
        }
    }
    if rules.contains(&M::ProactiveWithin) {
        complete_within(sent);
    }
    if !rules.contains(&M::DeprecatedRetries) {
        return;
    }
    for (old, new) in [("max_retries", "retries"), ("retry_delay_seconds", "retry_delay")] {
        let given = sent.get(old).filter(|value| !is_zero(value)).cloned();
        if let Some(value) = given.filter(|_| sent.get(new).is_none_or(is_falsy)) {
            sent.insert(new.to_owned(), value);
        }
    }
}

fn require_selected(action: &Map<String, Value>, thing: &str) -> Result<(), Complaint> {
    let field = format!("{thing}_id");
    let selected = action.get("source").is_some_and(|source| source == "selected");
    match (selected, action.get(&field).is_some_and(|id| !id.is_null())) {
        (true, false) => Err(Complaint::value_error(&format!("{field} is required"))),
        (false, true) => Err(Complaint::value_error(&format!("{field} is not allowed"))),
        _ => Ok(()),
    }
}

fn require_triggers(trigger: &Map<String, Value>) -> Result<(), Complaint> {
    let count = trigger.get("triggers").and_then(Value::as_array).map_or(0, Vec::len);
    match trigger.get("require").and_then(Value::as_i64) {
        Some(..1) => Err(Complaint::value_error("require must be at least 1")),
        Some(required) if usize::try_from(required).is_ok_and(|required| required > count) => {
            Err(Complaint::value_error("require must be less than or equal to the number of triggers"))
        }
        _ => Ok(()),
    }
}

/// Writes for how long a trigger counts as seconds, and for ten of them where a proactive one doesn't say.
///
/// What can't be read stays as it is, and validation says what is wrong with it.
fn complete_within(trigger: &mut Map<String, Value>) {
    let seconds = match trigger.get("within") {
        Some(Value::Null) => return,
        Some(within) => match scalar::duration(within) {
            Ok((seconds, _)) => Some(seconds),
            Err(_) => return,
        },
        None => None,
    };
    let seconds = if is_proactive(trigger) {
        Some(seconds.filter(|seconds| !is_zero(seconds)).unwrap_or_else(|| PROACTIVE_SECONDS.into()))
    } else {
        seconds
    };
    if let Some(seconds) = seconds {
        trigger.insert("within".to_owned(), seconds);
    }
}

fn check_within(trigger: &Map<String, Value>) -> Result<(), Complaint> {
    match trigger.get("within") {
        Some(Value::Null) => Err(Complaint::value_error("`within` should be a valid timedelta")),
        Some(Value::Number(seconds))
            if is_proactive(trigger)
                && scalar::duration(&Value::Number(seconds.clone())).is_ok()
                && seconds.as_f64().is_some_and(|seconds| seconds < PROACTIVE_SECONDS) =>
        {
            let msg = "`within` for Proactive triggers must be greater than or equal to 10 seconds";
            Err(Complaint::value_error(msg))
        }
        _ => Ok(()),
    }
}

fn is_proactive(trigger: &Map<String, Value>) -> bool {
    trigger.get("posture").is_some_and(|posture| posture == "Proactive")
}

fn check_run_loops(automation: &Map<String, Value>) -> Result<(), Complaint> {
    if automation.get("enabled") == Some(&Value::Bool(false)) {
        return Ok(());
    }
    let field = |name: &str| automation.get(name).cloned().unwrap_or_default();
    let trigger = serde_json::from_value::<Trigger>(field("trigger"));
    let actions = serde_json::from_value::<Vec<Action>>(field("actions"));
    match (trigger, actions) {
        (Ok(trigger), Ok(actions)) => {
            run_loops::check(&trigger, &actions).map_err(|why| Complaint::value_error(&why.to_string()))
        }
        // What the contract lets through is a trigger and actions; the handler would refuse them too.
        (Err(error), _) | (_, Err(error)) => Err(Complaint::value_error(&error.to_string())),
    }
}

fn complete_state(state: &mut Map<String, Value>) {
    let kind = state.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
    if state.get("name").is_none_or(Value::is_null) {
        state.insert("name".to_owned(), capitalize(&kind).into());
    }
    if kind == "SCHEDULED"
        && let Some(Value::Object(details)) = state.get_mut("state_details")
        && details.get("scheduled_time").is_none_or(Value::is_null)
    {
        details.insert("scheduled_time".to_owned(), Timestamp::now().to_string().into());
    }
}

/// Writes `SOME_TYPE` as `Some Type`.
fn capitalize(kind: &str) -> String {
    let words: Vec<String> = kind
        .split('_')
        .map(|word| {
            let (first, rest) = word.split_at_checked(1).unwrap_or((word, ""));
            format!("{}{}", first.to_uppercase(), rest.to_lowercase())
        })
        .collect();
    words.join(" ")
}

fn require_label(labels: &Map<String, Value>, label: &str, who: &str) -> Result<(), Complaint> {
    match labels.get(label).and_then(Value::as_str) {
        None => Err(Complaint::value_error(&format!("{who} must include the {label} label"))),
        Some("") => Err(Complaint::value_error(&format!("The {label} label must be non-empty"))),
        Some(_) => Ok(()),
    }
}

/// Tells whether a name has only lower-case letters, digits and `marks`; a line break may end it, as in Python.
fn is_plain(name: &str, marks: &str) -> bool {
    let name = name.strip_suffix('\n').unwrap_or(name);
    name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || marks.contains(c))
}

/// Tells whether Python holds the value for false.
fn is_falsy(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
    }
}

/// Tells whether the value equals 0 in Python, where false does too.
fn is_zero(value: &Value) -> bool {
    matches!(value, Value::Bool(false)) || value.as_f64() == Some(0.0)
}

fn variable_name(name: &Value) -> Result<(), Complaint> {
    let Value::String(name) = name else { return Ok(()) };
    if !is_plain(name, "-_") {
        let msg = "Variable name must only contain lowercase letters, numbers, and dashes or underscores.";
        return Err(Complaint::value_error(msg));
    }
    let length = name.chars().count();
    if length > VARIABLE_NAME_CHARACTERS {
        let msg = format!("Value should have at most {VARIABLE_NAME_CHARACTERS} items after validation, not {length}");
        let complaint = Complaint::new("too_long", msg).with("field_type", "Value");
        return Err(complaint.with("max_length", VARIABLE_NAME_CHARACTERS).with("actual_length", length));
    }
    Ok(())
}

fn variable_value(value: &Value) -> Result<(), Complaint> {
    if is_deeper(value, VARIABLE_DEPTH) {
        return Err(Complaint::value_error("Variable value must be serializable to JSON"));
    }
    let bytes = serde_json::to_string(value).map_or(usize::MAX, |text| text.len());
    if bytes > VARIABLE_BYTES {
        let msg = format!("Variable value must be less than {VARIABLE_BYTES} characters");
        return Err(Complaint::value_error(&msg));
    }
    Ok(())
}

/// Tells whether more than `levels` lists or objects lie within each other.
fn is_deeper(value: &Value, levels: usize) -> bool {
    match (value, levels.checked_sub(1)) {
        (Value::Array(_) | Value::Object(_), None) => true,
        (Value::Array(items), Some(rest)) => items.iter().any(|item| is_deeper(item, rest)),
        (Value::Object(fields), Some(rest)) => fields.values().any(|field| is_deeper(field, rest)),
        _ => false,
    }
}

/// Counts the bytes of the compact JSON that Python writes, in which everything beyond ASCII is escaped.
fn python_json_bytes(parameters: &Map<String, Value>) -> usize {
    struct Count(usize);

    impl Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // A character beyond ASCII becomes one escape of six bytes, or two when UTF-16 needs a pair.
            let escaped = |byte: &u8| match byte {
                0..0x80 => 1,
                0x80..0xC0 => 0,
                0xC0..0xF0 => 6,
                _ => 12,
            };
            self.0 += bytes.iter().map(escaped).sum::<usize>();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    let mut count = Count(0);
    serde_json::to_writer(&mut count, parameters).map_or(usize::MAX, |()| count.0)
}

/// Writes a number with a comma between thousands.
fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let lead = digits.len() % 3;
    let (head, tail) = digits.split_at_checked(lead).unwrap_or(("", &digits));
    let mut groups: Vec<&str> = if head.is_empty() { Vec::new() } else { vec![head] };
    groups.extend(tail.as_bytes().chunks(3).filter_map(|group| std::str::from_utf8(group).ok()));
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_the_bytes_that_python_writes() {
        let parameters = json!({"a": "é\n😀", "b": [1.5, null]});
        let python = r#"{"a":"\u00e9\n\ud83d\ude00","b":[1.5,null]}"#;
        assert_eq!(python_json_bytes(parameters.as_object().unwrap()), python.len());
        assert_eq!(thousands(524_288), "524,288");
        assert_eq!((thousands(12), thousands(123_456_789)), ("12".to_owned(), "123,456,789".to_owned()));
    }

    #[test]
    fn names_every_rule_after_something_in_the_contract() {
        let contract: Value = serde_json::from_str(include_str!("../documents/openapi-3.9.1.json")).unwrap();
        let schemas = &contract["components"]["schemas"];
        let operations: Vec<&str> = super::super::Operation::all().iter().map(super::super::Operation::id).collect();
        for (component, field, _) in FIELDS {
            let known = schemas[component]["properties"].get(field).is_some() || operations.contains(component);
            assert!(known, "{component}.{field} isn't in the contract");
        }
        for (component, _) in MODELS {
            assert!(schemas.get(component).is_some(), "{component} isn't in the contract");
        }
        for (operation, ..) in HIDDEN_HEADERS {
            assert!(operations.contains(operation), "{operation} isn't in the contract");
        }
    }

    #[test]
    fn takes_over_retries_by_their_old_names_unless_new_ones_are_given() {
        let mut policy = json!({"max_retries": 3, "retries": 0, "retry_delay_seconds": 5, "retry_delay": 7});
        prepare(&[M::DeprecatedRetries], policy.as_object_mut().unwrap(), None);
        assert_eq!((&policy["retries"], &policy["retry_delay"]), (&json!(3), &json!(7)));
    }

    #[test]
    fn names_a_state_after_its_type() {
        let mut state = json!({"type": "SCHEDULED", "name": null, "state_details": {}});
        complete_state(state.as_object_mut().unwrap());
        assert_eq!(state["name"], "Scheduled");
        assert!(state["state_details"]["scheduled_time"].is_string());
    }
}
