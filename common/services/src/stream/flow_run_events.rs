//! The events `prefect.flow-run.<state>` that tell of a flow run's changes of state.
//!
//! They equal those of Prefect's `InstrumentFlowRunStateTransitions` and `flow_run_state_change_event`. An event has
//! the id of the state that it tells of, so that a change consumed twice is one event.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use chrono::{SecondsFormat, Timelike};
use serde_json::{Value, json};

use super::{Failures, Written};
use domain::model::{
    CreatedBy, Deployment, DeploymentId, Event, Flow, FlowId, FlowRun, Object, ReceivedEvent, State, StateType,
    TaskRun, TaskRunId, Timestamp, WorkPool, WorkPoolId, WorkQueue, WorkQueueId,
    event::{Labels, RESOURCE_ID, RESOURCE_NAME, RESOURCE_ROLE},
};
use error::Result;
use store::{
    Item, Key,
    table::{self, Subject},
    work_pools::StoredWorkPool,
    work_queues::StoredWorkQueue,
};

use crate::{
    App, event_ingestion,
    jobs::queue::{Message, Queue},
    service_levels,
};

/// The most characters of a state's message that an event repeats.
const LONGEST_MESSAGE: usize = 100_000;

/// Within how many seconds of each other two changes of state are told to follow one another.
const TIGHT_SECONDS: f64 = 5.0 * 60.0;

/// A change of a flow run's state, and what the event tells of the records around it.
#[derive(Clone, Copy, Debug)]
struct Transition<'a> {
    run: &'a FlowRun,
    initial: Option<&'a State>,
    entered: &'a State,
    flow: Option<&'a Flow>,
    deployment: Option<&'a Deployment>,
    queue: Option<&'a WorkQueue>,
    pool: Option<&'a WorkPool>,
    /// The task run in the parent flow run that stands for this one.
    task_run: Option<&'a TaskRun>,
}

/// Keeps the events of those changes in `written` that brought a flow run into another state.
///
/// Where their deployments have service level agreements, the job runner is asked to look at the runs.
pub(super) async fn emit(app: &App, queue: &Queue, written: &[(usize, Written<'_>)], failures: &mut Failures) {
    let mut transitions = Vec::new();
    for (place, written) in written.iter().filter(|(_, written)| is_transition(written.after)) {
        match read(*written) {
            Ok(Some(transition)) => transitions.push((*place, transition)),
            Ok(None) => {}
            Err(error) => failures.add(*place, error),
        }
    }
    if transitions.is_empty() {
        return;
    }
    if let Err(error) = emit_all(app, queue, &transitions, failures).await {
        failures.add_all(transitions.iter().map(|(place, _)| *place), &error);
    }
}

fn is_transition(item: &Item) -> bool {
    item.is_announced() && matches!(Subject::of(&item.key), Some(Subject::FlowRun(_)))
}

/// A run, the state that it has entered, and the one before.
type Entered = (FlowRun, State, Option<State>);

/// Reads the run with its state, and the state before.
fn read(written: Written<'_>) -> Result<Option<Entered>> {
    let mut run: FlowRun = written.after.record()?;
    let before: Option<FlowRun> = written.before.map(Item::record).transpose()?;
    let initial = before.and_then(|before| before.state);
    Ok(run.state.take().map(|entered| (run, entered, initial)))
}

async fn emit_all(app: &App, queue: &Queue, transitions: &[(usize, Entered)], failures: &mut Failures) -> Result<()> {
    let around = Around::read(app, transitions.iter().map(|(_, (run, ..))| run)).await?;
    let mut events: Vec<ReceivedEvent> = Vec::new();
    let mut looks: Vec<Message> = Vec::new();
    for (place, (run, entered, initial)) in transitions {
        let transition = around.transition(run, initial.as_ref(), entered);
        match event(&transition) {
            Ok(event) => events.push(event.receive(app.now())),
            Err(error) => failures.add(*place, error),
        }
        if transition.deployment.is_some_and(service_levels::watches_runs) {
            looks.push(Message::Timer { of: table::flow_run_watch(run.id) });
        }
    }
    event_ingestion::keep_transitions(app, &events).await?;
    if looks.is_empty() { Ok(()) } else { queue.send(&looks).await }
}

/// Reads what a flow run has to do with, each thing in its role, as the events of its states name it.
pub(crate) async fn related_to(app: &App, run: &FlowRun) -> Result<Vec<Labels>> {
    let Some(state) = &run.state else { return Ok(Vec::new()) };
    let around = Around::read(app, std::iter::once(run)).await?;
    Ok(related(&around.transition(run, None, state)))
}

/// The records around some flow runs, by their ids.
#[derive(Debug)]
struct Around {
    flows: HashMap<FlowId, Arc<Flow>>,
    deployments: HashMap<DeploymentId, Arc<Deployment>>,
    queues: HashMap<WorkQueueId, Arc<StoredWorkQueue>>,
    pools: HashMap<WorkPoolId, Arc<StoredWorkPool>>,
    task_runs: HashMap<TaskRunId, TaskRun>,
}

impl Around {
    async fn read<'r>(app: &App, runs: impl Iterator<Item = &'r FlowRun> + Clone) -> Result<Self> {
        let (store, known) = (&app.store, &*app.surroundings);
        let flows = runs.clone().map(|run| table::flow(run.flow_id)).collect();
        let deployments = runs.clone().filter_map(|run| run.deployment_id).map(table::deployment).collect();
        let pools = runs.clone().filter_map(|run| run.work_pool_id).map(table::work_pool).collect();
        let queues = runs.clone().filter_map(|run| run.work_queue_id).map(table::work_queue).collect();
        let task_runs: BTreeSet<Key> = runs.filter_map(|run| run.parent_task_run_id).map(table::task_run).collect();
        let task_runs = Vec::from_iter(task_runs);
        let (flows, deployments, queues, pools, task_runs) = tokio::try_join!(
            known.flows.read(store, flows),
            known.deployments.read(store, deployments),
            known.queues.read(store, queues),
            known.pools.read(store, pools),
            store.get_many::<TaskRun>(&task_runs),
        )?;
        Ok(Self {
            flows: flows.into_iter().map(|flow| (flow.id, flow)).collect(),
            deployments: deployments.into_iter().map(|deployment| (deployment.id, deployment)).collect(),
            queues: queues.into_iter().map(|stored| (stored.queue.id, stored)).collect(),
            pools: pools.into_iter().map(|stored| (stored.pool.id, stored)).collect(),
            task_runs: task_runs.into_iter().map(|found| (found.record.id, found.record)).collect(),
        })
    }

    fn transition<'a>(&'a self, run: &'a FlowRun, initial: Option<&'a State>, entered: &'a State) -> Transition<'a> {
        let queue = run.work_queue_id.and_then(|id| self.queues.get(&id)).map(|stored| &stored.queue);
        Transition {
            run,
            initial,
            entered,
            flow: self.flows.get(&run.flow_id).map(|flow| &**flow),
            deployment: run.deployment_id.and_then(|id| self.deployments.get(&id)).map(|deployment| &**deployment),
            queue,
            pool: queue.and_then(|queue| self.pools.get(&queue.work_pool_id?)).map(|stored| &stored.pool),
            task_run: run.parent_task_run_id.and_then(|id| self.task_runs.get(&id)),
        }
    }
}

/// Returns the event that tells of `transition`.
fn event(transition: &Transition<'_>) -> Result<Event> {
    let Transition { run, initial, entered, .. } = *transition;
    let message = truncated(entered.message.as_deref());
    let resource = labels([
        (RESOURCE_ID, format!("prefect.flow-run.{}", run.id)),
        (RESOURCE_NAME, run.name.clone()),
        ("prefect.run-count", run.run_count.to_string()),
        ("prefect.state-message", message),
        ("prefect.state-name", entered.name.clone()),
        ("prefect.state-timestamp", isoformat(entered.timestamp)),
        ("prefect.state-type", entered.r#type.to_string()),
    ]);
    let payload = json!({
        "intended": { "from": initial.map(|state| state.r#type), "to": entered.r#type },
        "initial_state": initial.map(brief),
        "validated_state": brief(entered),
    });
    let related = related(transition);
    let mut event: Event = serde_json::from_value(json!({
        "occurred": entered.timestamp,
        "event": format!("prefect.flow-run.{}", entered.name),
        "resource": resource,
        "related": related,
        "payload": payload,
        "id": entered.id,
    }))?;
    event.follows = initial.filter(|state| is_tight(entered, state)).map(|state| state.id.0.into());
    Ok(event)
}

/// Says whether two states followed so closely that their events might arrive in the wrong order.
fn is_tight(entered: &State, initial: &State) -> bool {
    entered.timestamp.seconds_since(initial.timestamp).abs() < TIGHT_SECONDS
}

/// Returns what the payload tells of a state, texts only.
fn brief(state: &State) -> Value {
    let mut brief = Object::new();
    brief.insert("type".into(), state.r#type.as_str().into());
    if !state.name.is_empty() {
        brief.insert("name".into(), state.name.as_str().into());
    }
    if state.message.as_ref().is_some_and(|message| !message.is_empty()) {
        brief.insert("message".into(), truncated(state.message.as_deref()).into());
    }
    if state.r#type == StateType::Paused {
        brief.insert("pause_reschedule".into(), state.state_details.pause_reschedule.to_string().into());
    }
    Value::Object(brief)
}

/// Returns the resources around the run: its flow, its deployment, where it waits, the task run that stands for it, all
/// tags, and who created it.
fn related(transition: &Transition<'_>) -> Vec<Labels> {
    let Transition { run, flow, deployment, queue, pool, task_run, .. } = *transition;
    let mut related = Vec::new();
    let mut tags: BTreeSet<&str> = run.tags.iter().map(String::as_str).collect();
    if let Some(flow) = flow {
        related.push(resource_in_role("flow", flow.id, &flow.name));
        tags.extend(flow.tags.iter().map(String::as_str));
    }
    if let Some(deployment) = deployment {
        related.push(resource_in_role("deployment", deployment.id, &deployment.name));
        tags.extend(deployment.tags.iter().map(String::as_str));
    }
    if let Some(queue) = queue {
        related.push(resource_in_role("work-queue", queue.id, &queue.name));
    }
    if let Some(pool) = pool {
        let mut resource = resource_in_role("work-pool", pool.id, &pool.name);
        resource.insert("prefect.work-pool.type".into(), pool.r#type.clone());
        related.push(resource);
    }
    if let Some(task_run) = task_run {
        related.push(resource_in_role("task-run", task_run.id, &task_run.name));
        tags.extend(task_run.tags.iter().map(String::as_str));
    }
    related.extend(
        tags.iter().map(|tag| labels([(RESOURCE_ID, format!("prefect.tag.{tag}")), (RESOURCE_ROLE, "tag".into())])),
    );
    related.extend(run.created_by.as_ref().and_then(creator));
    related
}

/// A record of the kind that its role is named after.
fn resource_in_role(kind: &str, id: impl std::fmt::Display, name: &str) -> Labels {
    labels([
        (RESOURCE_ID, format!("prefect.{kind}.{id}")),
        (RESOURCE_ROLE, kind.to_owned()),
        (RESOURCE_NAME, name.to_owned()),
    ])
}

fn creator(created_by: &CreatedBy) -> Option<Labels> {
    let kind = match created_by.r#type.as_deref() {
        Some("DEPLOYMENT") => "deployment",
        Some("AUTOMATION") => "automation",
        _ => return None,
    };
    // Prefect writes a missing id as Python writes nothing.
    let id = created_by.id.map_or_else(|| "None".to_owned(), |id| id.to_string());
    let mut creator = labels([(RESOURCE_ID, format!("prefect.{kind}.{id}")), (RESOURCE_ROLE, "creator".into())]);
    if let Some(name) = created_by.display_value.as_ref().filter(|name| !name.is_empty()) {
        creator.insert(RESOURCE_NAME.into(), name.clone());
    }
    Some(creator)
}

fn labels<const N: usize>(labels: [(&str, String); N]) -> Labels {
    labels.into_iter().map(|(label, value)| (label.to_owned(), value)).collect()
}

/// Shortens a text to its two ends, where that makes it shorter (Prefect's `truncated_to`).
fn truncated(text: Option<&str>) -> String {
    let text = text.unwrap_or_default();
    // A text has no more characters than bytes.
    let characters = if text.len() <= LONGEST_MESSAGE { 0 } else { text.chars().count() };
    if characters <= LONGEST_MESSAGE {
        return text.to_owned();
    }
    let half = LONGEST_MESSAGE / 2;
    let beginning: String = text.chars().take(half).collect();
    let end: String = text.chars().skip(characters - half).collect();
    let shortened = format!("{beginning}...{} additional characters...{end}", characters - 2 * half);
    if shortened.chars().count() < characters { shortened } else { text.to_owned() }
}

/// Writes a time as Python's `isoformat` does.
fn isoformat(time: Timestamp) -> String {
    let time = time.as_chrono();
    let format = if time.nanosecond() == 0 { SecondsFormat::Secs } else { SecondsFormat::Micros };
    time.to_rfc3339_opts(format, false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::model::{FlowRunId, StateId};

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn run() -> FlowRun {
        let mut run = FlowRun::new(FlowRunId::new(), FlowId::new(), "brave-otter", time("2026-01-31T09:30:00Z"));
        run.tags = vec!["b".into(), "both".into()];
        run.run_count = 2;
        run
    }

    fn transition<'a>(run: &'a FlowRun, initial: Option<&'a State>, entered: &'a State) -> Transition<'a> {
        Transition { run, initial, entered, flow: None, deployment: None, queue: None, pool: None, task_run: None }
    }

    #[test]
    fn tells_the_state_in_labels_and_payload() {
        let run = run();
        let initial = State::new(StateId::new(), StateType::Pending, time("2026-01-31T09:30:00Z"));
        let mut entered =
            State::new(StateId::new(), StateType::Completed, time("2026-01-31T09:31:00.5Z")).named("Cached");
        entered.message = Some("found".into());
        entered.data = Some(json!({"kept": "out"}));
        let event = serde_json::to_value(event(&transition(&run, Some(&initial), &entered)).unwrap()).unwrap();
        assert_eq!(
            event,
            json!({
                "occurred": "2026-01-31T09:31:00.500000Z",
                "event": "prefect.flow-run.Cached",
                "resource": {
                    "prefect.resource.id": format!("prefect.flow-run.{}", run.id),
                    "prefect.resource.name": "brave-otter",
                    "prefect.run-count": "2",
                    "prefect.state-message": "found",
                    "prefect.state-name": "Cached",
                    "prefect.state-timestamp": "2026-01-31T09:31:00.500000+00:00",
                    "prefect.state-type": "COMPLETED",
                },
                "related": [
                    {"prefect.resource.id": "prefect.tag.b", "prefect.resource.role": "tag"},
                    {"prefect.resource.id": "prefect.tag.both", "prefect.resource.role": "tag"},
                ],
                "payload": {
                    "intended": {"from": "PENDING", "to": "COMPLETED"},
                    "initial_state": {"type": "PENDING", "name": "Pending"},
                    "validated_state": {"type": "COMPLETED", "name": "Cached", "message": "found"},
                },
                "id": entered.id,
                "follows": initial.id,
            })
        );
    }

    #[test]
    fn follows_only_what_happened_within_five_minutes() {
        let run = run();
        let initial = State::new(StateId::new(), StateType::Scheduled, time("2026-01-31T09:30:00Z"));
        let follows = |at: &str| {
            let entered = State::new(StateId::new(), StateType::Running, time(at));
            event(&transition(&run, Some(&initial), &entered)).unwrap().follows
        };
        assert_eq!(follows("2026-01-31T09:34:59.999999Z"), Some(initial.id.0.into()));
        assert_eq!(follows("2026-01-31T09:35:00Z"), None);
        assert_eq!(follows("2026-01-31T09:25:00Z"), None);
    }

    #[test]
    fn relates_the_flow_the_task_run_all_tags_and_the_creator() {
        let mut run = run();
        run.created_by = Some(CreatedBy {
            id: Some("aaaaaaaa-0000-4000-8000-000000000001".parse().unwrap()),
            r#type: Some("AUTOMATION".into()),
            display_value: Some("nightly".into()),
        });
        let mut flow = Flow::new(run.flow_id, "a flow".to_owned(), run.created);
        flow.tags = vec!["both".into(), "a".into()];
        let task_run = TaskRun::new(TaskRunId::new(), "sub", "0", "sub-0", run.created);
        let entered = State::new(StateId::new(), StateType::Paused, run.created);
        let transition =
            Transition { flow: Some(&flow), task_run: Some(&task_run), ..transition(&run, None, &entered) };
        let ids: Vec<String> = related(&transition).iter().map(|labels| labels[RESOURCE_ID].clone()).collect();
        let expected = [
            format!("prefect.flow.{}", flow.id),
            format!("prefect.task-run.{}", task_run.id),
            "prefect.tag.a".into(),
            "prefect.tag.b".into(),
            "prefect.tag.both".into(),
            "prefect.automation.aaaaaaaa-0000-4000-8000-000000000001".into(),
        ];
        assert_eq!(ids, expected);
        let event = event(&transition).unwrap();
        assert_eq!(event.payload["initial_state"], Value::Null);
        assert_eq!(event.payload["validated_state"]["pause_reschedule"], "false");
    }

    #[test]
    fn long_messages_keep_their_ends() {
        let long = format!("{}{}", "ä".repeat(60_000), "z".repeat(60_000));
        let short = truncated(Some(&long));
        assert!(short.starts_with("ää") && short.ends_with("zz"));
        assert!(short.contains("...20000 additional characters..."));
        assert_eq!(truncated(Some(&"ä".repeat(100_001))).chars().count(), 100_001);
        assert_eq!(truncated(None), "");
    }
}
