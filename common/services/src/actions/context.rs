//! What an action's templates can name: the automation, its firing and events, and the records that the event is about.
//!
//! A record is read only if a template names it, and is told as its operation answers it.

use std::collections::HashMap;

use domain::{
    automations::FiringOfTrigger,
    filter::VariableSort,
    model::{
        ConcurrencyLimit, EventId, Flow, Object, ReceivedEvent, TriggerId, automation::Trigger, event::Resource,
        work_queue::WorkQueueAnswer,
    },
};
use error::{Error, Result};
use schema_tools::{
    Allowance,
    templates::{Class, Context, NotRendered, Part, named, render},
};
use serde_json::{Value, json};
use store::{select::Window, work_queues::StoredWorkQueue};
use uuid::Uuid;

use super::{Acting, Failed, Report, acting::kind_and_id};
use crate::deployment_responses;

/// The records that templates can name, with the kinds of their resources.
const RECORDS: [(&str, &str); 7] = [
    ("deployment", "prefect.deployment"),
    ("flow", "prefect.flow"),
    ("flow_run", "prefect.flow-run"),
    ("task_run", "prefect.task-run"),
    ("work_pool", "prefect.work-pool"),
    ("work_queue", "prefect.work-queue"),
    ("concurrency_limit", "prefect.concurrency-limit"),
];

/// The name of all variables.
const VARIABLES: &str = "variables";

/// How many variables templates can name, as in Prefect.
const MOST_VARIABLES: usize = 1_000;

/// Renders `templates`, with what they name.
///
/// # Errors
/// [`Failed::For`] if one can't be rendered, which the report tells as well.
pub(super) async fn rendered<const N: usize>(
    acting: &Acting<'_>,
    templates: [&str; N],
    report: &mut Report,
) -> Result<[String; N], Failed> {
    let allowance = Allowance::default();
    let mut rendered = templates.map(str::to_owned);
    let texts: Vec<&str> = templates.into_iter().filter(|template| is_template(template)).collect();
    if texts.is_empty() {
        return Ok(rendered);
    }
    let context = of(acting, &texts).await?;
    for template in &mut rendered {
        // To Prefect, what has only a comment is no template.
        if !is_template(template) {
            continue;
        }
        match render(template, &context, &allowance) {
            Ok(text) => *template = text,
            Err(error) => {
                let said = match error {
                    NotRendered::Invalid(said) => said,
                    NotRendered::Exceeded(exceeded) => exceeded.to_string(),
                };
                let (_, cause) = said.split_once("following error: ").unwrap_or(("", &said));
                let reason = format!("Template rendering failed: {cause}");
                report.detail("template_error", said.as_str());
                report.detail("template_source", template.as_str());
                return Err(Failed::For(reason));
            }
        }
    }
    Ok(rendered)
}

fn is_template(text: &str) -> bool {
    text.contains("{{") || text.contains("{%")
}

/// Returns what `templates` can name.
pub(super) async fn of(acting: &Acting<'_>, templates: &[&str]) -> Result<Context> {
    let (firing, automation) = (&acting.triggered.firing.firing, acting.automation());
    let mut context = Context::new(acting.app.settings.ui_url.clone());
    context.insert("automation", Part::Record(Class::Automation, serde_json::to_value(automation)?));
    context.insert("event", event(acting.event.as_ref())?);
    context.insert("labels", Part::Labels(labels(firing)));
    if !named_in(templates, &["firing", "firings", "events"]).is_empty() {
        insert_firings(acting, &mut context).await?;
    }
    // Prefect reads records only where there is an event.
    if acting.event.is_some() {
        let records = RECORDS.map(|(name, _)| name);
        for name in named_in(templates, &[&records[..], &[VARIABLES]].concat()) {
            context.insert(name, record(acting, name).await?);
        }
    }
    Ok(context)
}

/// Returns which of `names` one of the templates may name.
fn named_in<'n>(templates: &[&str], names: &[&'n str]) -> Vec<&'n str> {
    names.iter().copied().filter(|name| templates.iter().any(|template| !named(template, &[name]).is_empty())).collect()
}

/// Lets templates name the firing, all firings within it, and their events.
async fn insert_firings(acting: &Acting<'_>, context: &mut Context) -> Result<()> {
    let firing = &acting.triggered.firing.firing;
    let events = events(acting).await?;
    let triggers = triggers(&acting.automation().trigger);
    context.insert("firing", Part::Record(Class::Firing, told(firing, &events, &triggers)?));
    let firings = firing.all().into_iter().map(|firing| told(firing, &events, &triggers)).collect::<Result<_>>()?;
    context.insert("firings", Part::Records(Class::Firing, firings));
    let all = firing.all().into_iter().filter_map(|firing| events.get(&firing.triggering_event?));
    let all = all.map(serde_json::to_value).collect::<Result<_, _>>()?;
    context.insert("events", Part::Records(Class::ReceivedEvent, all));
    Ok(())
}

fn event(event: Option<&ReceivedEvent>) -> Result<Part> {
    Ok(match event {
        Some(event) => Part::Record(Class::ReceivedEvent, serde_json::to_value(event)?),
        None => Part::None,
    })
}

fn labels(firing: &FiringOfTrigger) -> Object {
    firing.triggering_labels.iter().map(|(label, value)| (label.clone(), value.clone().into())).collect()
}

/// Reads the events of all firings.
async fn events(acting: &Acting<'_>) -> Result<HashMap<EventId, ReceivedEvent>> {
    let mut ids: Vec<EventId> =
        acting.triggered.firing.firing.all().into_iter().filter_map(|firing| firing.triggering_event).collect();
    ids.sort();
    ids.dedup();
    let found = acting.app.store.events_by_id(&ids).await?;
    Ok(found.into_iter().map(|event| (event.id, event)).collect())
}

/// Returns all triggers of an automation, by their ids.
fn triggers(trigger: &Trigger) -> HashMap<TriggerId, &Trigger> {
    let within: &[Trigger] = match trigger {
        Trigger::Event(_) => &[],
        Trigger::Compound(compound) => &compound.triggers,
        Trigger::Sequence(sequence) => &sequence.triggers,
    };
    let mut all: HashMap<_, _> = within.iter().flat_map(|trigger| triggers(trigger)).collect();
    all.insert(trigger.id(), trigger);
    all
}

/// Returns a firing as Prefect's model has it.
fn told(
    firing: &FiringOfTrigger,
    events: &HashMap<EventId, ReceivedEvent>,
    triggers: &HashMap<TriggerId, &Trigger>,
) -> Result<Value> {
    let within = firing.triggering_firings.iter().map(|firing| told(firing, events, triggers));
    Ok(json!({
        "id": firing.id,
        "trigger": triggers.get(&firing.trigger),
        "trigger_states": ["Triggered"],
        "triggered": firing.triggered,
        "triggering_labels": firing.triggering_labels,
        "triggering_firings": within.collect::<Result<Vec<_>>>()?,
        "triggering_event": firing.triggering_event.and_then(|id| events.get(&id)),
        "triggering_value": null,
    }))
}

/// Reads what a template names: the first record of its kind that the event involves.
async fn record(acting: &Acting<'_>, name: &str) -> Result<Part> {
    let (app, store) = (acting.app, &acting.app.store);
    let now = app.now();
    let kind = RECORDS.iter().find(|(record, _)| *record == name).map(|(_, kind)| *kind);
    let Some(kind) = kind else {
        let window = Window { limit: MOST_VARIABLES, offset: 0 };
        let all = store.variables(None, VariableSort::default(), window).await?;
        return Ok(Part::Plain(
            all.into_iter().map(|variable| (variable.name, variable.value)).collect::<Object>().into(),
        ));
    };
    let resource = acting.first_of_kind(kind);
    let Some(id) = resource.and_then(|resource| kind_and_id(resource.id()).1.parse::<Uuid>().ok()) else {
        return Ok(Part::None);
    };
    let found = match name {
        "deployment" => match store.deployment(id.into()).await? {
            Some(found) => {
                Some((Class::DeploymentResponse, answer(&deployment_responses::one(app, &found.record).await?)?))
            }
            None => None,
        },
        "flow" => found(Class::Flow, store.find::<Flow>(domain::model::FlowId(id)).await?.map(|found| found.record))?,
        "flow_run" => {
            let run = store.flow_run(id.into()).await?.map(|found| found.record.with_estimates(now));
            found(Class::FlowRunResponse, run)?
        }
        "task_run" => {
            let run = store.task_run(id.into()).await?.map(|found| found.record.with_estimates(now));
            found(Class::TaskRun, run)?
        }
        "work_pool" => found(Class::WorkPool, store.work_pool_by_id(id.into()).await?.map(|found| found.record.pool))?,
        "work_queue" => match store.find::<StoredWorkQueue>(domain::model::WorkQueueId(id)).await? {
            Some(kept) => {
                let queue = kept.record.queue;
                let mut told = answer(&WorkQueueAnswer::new(queue, Some(kept.record.pool.name), 0))?;
                if let Value::Object(fields) = &mut told {
                    fields.insert("late_runs_count".into(), store.count_late_runs(id.into(), now).await?.into());
                }
                Some((Class::WorkQueueWithStatus, told))
            }
            None => None,
        },
        _ => {
            let limit = store.find::<ConcurrencyLimit>(domain::model::ConcurrencyLimitId(id)).await?;
            found(Class::ConcurrencyLimitV2, limit.as_ref().map(|limit| limit.record.as_of(now)))?
        }
    };
    Ok(match found {
        Some((class, mut record)) => {
            if let Some(resource) = resource {
                enter_state_of_event(class, &mut record, resource);
            }
            Part::Record(class, record)
        }
        None => Part::None,
    })
}

fn answer(record: &impl serde::Serialize) -> Result<Value> {
    serde_json::to_value(record).map_err(Error::from)
}

fn found(class: Class, record: Option<impl serde::Serialize>) -> Result<Option<(Class, Value)>> {
    record.map(|record| Ok((class, answer(&record)?))).transpose()
}

/// Has a run be in the state that the event tells: it may have entered another one since.
fn enter_state_of_event(class: Class, record: &mut Value, resource: &Resource) {
    let label = |label: &str| resource.label(&format!("prefect.state-{label}"));
    let told = (label("message"), label("name"), label("timestamp"), label("type"));
    let (Some(message), Some(name), Some(timestamp), Some(kind)) = told else { return };
    if !matches!(class, Class::FlowRunResponse | Class::TaskRun) {
        return;
    }
    // What is no state is left out, as Prefect does.
    let state: Result<domain::model::State, _> = serde_json::from_value(json!({
        "id": Uuid::new_v4(), "type": kind, "name": name, "message": message, "timestamp": timestamp,
    }));
    if let (Ok(state), Value::Object(fields)) = (state, record)
        && let Ok(state) = serde_json::to_value(state)
    {
        fields.insert("state".into(), state);
    }
}
