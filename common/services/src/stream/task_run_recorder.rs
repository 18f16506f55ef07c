//! Task runs, recorded from the events `prefect.task-run.*` of the clients that run them.
//!
//! As Prefect's task run recorder does: the history gets every state that is reported, the run takes what the report
//! says where the report is newer than the run's state, and a late report changes nothing but the history. Reports are
//! ordered by what they say they follow ([`Precedence`]), and by times only where they say nothing: hosts have clocks of
//! their own. Prefect goes by the times, so that a run whose end is reported by a host that is behind never ends.
//!
//! What the reports of a batch follow is in the batch, or is the state that the run is in. Where it is neither, because
//! reports come late or again, the run's history is read, which keeps what each state follows.
//!
//! As Prefect's foreign key has it, nothing is recorded for a flow run that is not there, so that reports which come
//! after its deletion leave nothing behind.
//!
//! A report may come any number of times and in any order: a state's id and content derive from its event, and the run
//! is written under a condition on its version, with the states that were reported for it. What it knows is not written
//! again.
//!
//! The claim on a run's natural key is written before the run, not with it, which costs half as much. It gives the run's
//! id, so whoever finds a claim without a run writes that run, and the claim with it: both may be about to be deleted.

use std::collections::{BTreeMap, HashMap, HashSet};

use futures::{StreamExt, stream};
use serde_json::Value;
use uuid::Uuid;

use super::Failures;
use domain::{
    model::{
        EventId, FlowRunId, Object, ReceivedEvent, State, StateDetails, StateId, StateType, TaskRun, TaskRunId,
        Timestamp, name::random_name,
    },
    precedence::{Place, Precedence},
};
use error::{Error, Result};
use store::{
    CommitError, Item, Key, Store, Versioned, Write, commit,
    states::ReportedState,
    table::{self, Subject},
    unique::Claim,
};

use crate::App;

/// What the names of the events begin with.
const EVENTS: &str = "prefect.task-run";

/// The label that tells reports of a client from what a server says of task runs that it orchestrates itself.
const ORCHESTRATION: &str = "prefect.orchestration";

/// How many task runs of a batch are written at the same time.
const TASK_RUNS_AT_ONCE: usize = 16;

/// How many states are written with a run in one transaction, which takes 100 items; more of them go ahead.
const STATES_WITH_RUN: usize = 90;

/// Records what the events among `written` report.
pub(super) async fn record(app: &App, written: &[(usize, &Item)], failures: &mut Failures) {
    let mut reports: Vec<Report> = Vec::new();
    for (place, item) in written {
        match read(*place, item) {
            Ok(report) => reports.extend(report),
            Err(error) => failures.add(*place, error),
        }
    }
    if reports.is_empty() {
        return;
    }
    let known = match Known::load(&app.store, &reports).await {
        Ok(known) => known,
        Err(error) => return failures.add_all(reports.iter().map(|report| report.place), &error),
    };
    let reports = reports.into_iter().filter(|report| known.takes(report)).collect();
    let groups = grouped(reports, &known);
    let outcomes: Vec<_> = stream::iter(groups)
        .map(|(id, reports)| {
            let found = known.of(id, &reports);
            async move {
                let outcome = record_group(&app.store, id, found, &reports).await;
                (reports, outcome)
            }
        })
        .buffer_unordered(TASK_RUNS_AT_ONCE)
        .collect()
        .await;
    for (reports, outcome) in outcomes {
        if let Err(error) = outcome {
            failures.add_all(reports.iter().map(|report| report.place), &error);
        }
    }
}

/// What one event says about a task run.
#[derive(Clone, Debug)]
struct Report {
    /// The place of the change in the batch.
    place: usize,
    task_run_id: TaskRunId,
    /// The run with all that the event says of it, and defaults for the rest.
    run: TaskRun,
    /// The state that the run entered.
    state: State,
    /// The fields that the event says something about.
    sent: Vec<Field>,
    /// The state that it says this one follows.
    follows: Option<StateId>,
    /// The event.
    event: EventId,
    received: Timestamp,
}

/// Reads a report from an item; none if it isn't one, or makes no sense.
fn read(place: usize, item: &Item) -> Result<Option<Report>> {
    let Some(Subject::Event(_) | Subject::TimedEvent) = Subject::of(&item.key) else { return Ok(None) };
    // Most events are no reports, and that is said before the payload.
    if !item.head.as_deref().is_some_and(|head| head.contains(EVENTS)) {
        return Ok(None);
    }
    let event: ReceivedEvent = item.record()?;
    if !event.event.starts_with(EVENTS) || event.resource.label(ORCHESTRATION) != Some("client") {
        return Ok(None);
    }
    let report = Report::new(place, &event);
    if let Err(reason) = &report {
        tracing::warn!(id = %event.id, reason, "an event reports nothing that can be recorded");
    }
    Ok(report.ok())
}

impl Report {
    /// Reads `event`; the error says what makes no sense.
    fn new(place: usize, event: &ReceivedEvent) -> Result<Self, String> {
        let task_run_id = TaskRunId(id_of(event.resource.id(), "prefect.task-run.")?);
        let flow_run = event.related.iter().find(|related| related.role() == "flow-run");
        let flow_run_id =
            flow_run.map(|related| id_of(related.resource().id(), "prefect.flow-run.")).transpose()?.map(FlowRunId);
        let state = reported_state(event, task_run_id, flow_run_id)?;
        let fields = object(event, "task_run")?;
        let sent: Vec<Field> = fields.keys().filter_map(|name| Field::named(name)).collect();
        let run = reported_run(task_run_id, fields, event.received)?;
        let run = TaskRun { flow_run_id, ..run };
        Ok(Self {
            place,
            task_run_id,
            run,
            state,
            sent,
            follows: event.follows.map(|event| StateId(event.0)),
            event: event.id,
            received: event.received,
        })
    }

    /// Returns what tells the run from all others of its flow run.
    fn natural_key(&self) -> Option<Key> {
        natural_key(&self.run)
    }

    /// Says whether the report tells of a later state than `current`.
    fn supersedes(&self, current: Option<&State>, precedence: &Precedence) -> bool {
        current.is_none_or(|current| precedence.supersedes(Place::from(&self.state), Place::from(current)))
    }

    /// Brings what the report says into `run`.
    fn apply(&self, run: &mut TaskRun) {
        for field in &self.sent {
            field.copy(&self.run, run);
        }
        run.flow_run_id = self.run.flow_run_id;
        run.state_id = Some(self.state.id);
        run.state_type = Some(self.state.r#type);
        run.state_name = Some(self.state.name.clone());
        run.state = Some(self.state.clone());
        run.updated = self.received;
    }
}

fn natural_key(run: &TaskRun) -> Option<Key> {
    run.flow_run_id.map(|flow_run| table::unique_task_run(Some(flow_run), &run.task_key, &run.dynamic_key))
}

fn id_of(resource: &str, prefix: &str) -> Result<Uuid, String> {
    let id = resource.strip_prefix(prefix).ok_or_else(|| format!("{resource:?} does not begin with {prefix}"))?;
    id.parse().map_err(|_| format!("{resource:?} has no id"))
}

fn object<'e>(event: &'e ReceivedEvent, name: &str) -> Result<&'e Object, String> {
    event.payload.get(name).and_then(Value::as_object).ok_or_else(|| format!("the payload has no {name}"))
}

/// Reads the state that the event reports; it has the event's id and time unless it says otherwise.
fn reported_state(
    event: &ReceivedEvent,
    task_run_id: TaskRunId,
    flow_run_id: Option<FlowRunId>,
) -> Result<State, String> {
    let mut fields = object(event, "validated_state")?.clone();
    fields.entry("id").or_insert_with(|| event.id.to_string().into());
    fields.entry("timestamp").or_insert_with(|| event.occurred.to_string().into());
    let r#type: StateType = fields
        .get("type")
        .and_then(|r#type| serde_json::from_value(r#type.clone()).ok())
        .ok_or("the state has no type")?;
    if fields.get("name").is_none_or(Value::is_null) {
        fields.insert("name".into(), r#type.default_name().into());
    }
    let mut state: State = serde_json::from_value(Value::Object(fields)).map_err(|error| error.to_string())?;
    if r#type == StateType::Scheduled {
        state.state_details.scheduled_time.get_or_insert(event.occurred);
    }
    state.state_details = StateDetails { task_run_id: Some(task_run_id), flow_run_id, ..state.state_details };
    Ok(state)
}

/// Makes a run of nothing but what the event says.
fn reported_run(id: TaskRunId, fields: &Object, received: Timestamp) -> Result<TaskRun, String> {
    if !["task_key", "dynamic_key"].iter().all(|key| fields.get(*key).is_some_and(Value::is_string)) {
        return Err("the task run has no keys".into());
    }
    let Ok(Value::Object(mut document)) = serde_json::to_value(TaskRun::new(id, "", "", "", received)) else {
        return Err("a task run is an object".into());
    };
    document.extend(
        fields
            .iter()
            .filter(|(name, _)| Field::named(name).is_some())
            .map(|(name, value)| (name.clone(), value.clone())),
    );
    serde_json::from_value(Value::Object(document)).map_err(|error| error.to_string())
}

macro_rules! fields {
    ($($variant:ident $field:ident),+ $(,)?) => {
        /// A field of a task run that events tell of.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        enum Field {
            $($variant),+
        }

        impl Field {
            fn named(name: &str) -> Option<Self> {
                match name {
                    $(stringify!($field) => Some(Self::$variant),)+
                    _ => None,
                }
            }

            fn copy(self, from: &TaskRun, to: &mut TaskRun) {
                match self {
                    $(Self::$variant => to.$field.clone_from(&from.$field),)+
                }
            }
        }
    };
}

fields! {
    Name name,
    TaskKey task_key,
    DynamicKey dynamic_key,
    CacheKey cache_key,
    CacheExpiration cache_expiration,
    TaskVersion task_version,
    EmpiricalPolicy empirical_policy,
    Tags tags,
    Labels labels,
    TaskInputs task_inputs,
    RunCount run_count,
    FlowRunRunCount flow_run_run_count,
    ExpectedStartTime expected_start_time,
    NextScheduledStartTime next_scheduled_start_time,
    StartTime start_time,
    EndTime end_time,
    TotalRunTime total_run_time,
}

/// What is stored about the task runs of some reports.
#[derive(Debug, Default)]
struct Known {
    runs: HashMap<TaskRunId, Versioned<TaskRun>>,
    /// Which run has a natural key, and the version of the claim.
    owners: HashMap<Key, (TaskRunId, u64)>,
    /// The flow runs that are there, of those that a new task run belongs to.
    flow_runs: HashSet<FlowRunId>,
}

impl Known {
    async fn load(store: &Store, reports: &[Report]) -> Result<Self> {
        let mut keys = Vec::new();
        for report in reports {
            keys.push(table::task_run(report.task_run_id));
            keys.extend(report.natural_key());
        }
        let mut known = Self::default();
        let mut owned_by_others = Vec::new();
        for item in store.get_items(&keys).await? {
            if matches!(Subject::of(&item.key), Some(Subject::TaskRun(_))) {
                known.add(item.versioned()?);
            } else {
                let owner = TaskRunId(item.record::<Claim>()?.owner);
                known.owners.insert(item.key, (owner, item.version));
            }
        }
        for (owner, _) in known.owners.values().filter(|(owner, _)| !known.runs.contains_key(owner)) {
            owned_by_others.push(table::task_run(*owner));
        }
        for run in store.get_many(&owned_by_others).await? {
            known.add(run);
        }
        let of_new = reports.iter().filter(|report| !known.has_run_of(report));
        let flow_runs: HashSet<FlowRunId> = of_new.filter_map(|report| report.run.flow_run_id).collect();
        let flow_run_keys: Vec<Key> = flow_runs.into_iter().map(table::flow_run).collect();
        for item in store.get_items(&flow_run_keys).await? {
            if let Some(Subject::FlowRun(id)) = Subject::of(&item.key) {
                known.flow_runs.insert(id);
            }
        }
        Ok(known)
    }

    fn owner(&self, report: &Report) -> Option<TaskRunId> {
        self.owners.get(&report.natural_key()?).map(|(owner, _)| *owner)
    }

    fn has_run_of(&self, report: &Report) -> bool {
        [Some(report.task_run_id), self.owner(report)].into_iter().flatten().any(|id| self.runs.contains_key(&id))
    }

    /// Says whether the report is to be recorded: its task run is known, or nothing is missing that it belongs to.
    fn takes(&self, report: &Report) -> bool {
        report.run.flow_run_id.is_none_or(|id| self.flow_runs.contains(&id)) || self.has_run_of(report)
    }

    /// Returns what is stored of the run `id` that `reports` are of.
    fn of(&self, id: TaskRunId, reports: &[Report]) -> Found {
        let claim = |key: Key| match self.owners.get(&key) {
            Some((owner, version)) if *owner == id => Some((key, *version)),
            _ => None,
        };
        Found {
            run: self.runs.get(&id).cloned(),
            claimed: reports.iter().filter_map(Report::natural_key).find_map(claim),
        }
    }

    fn add(&mut self, run: Versioned<TaskRun>) {
        self.runs.insert(run.record.id, run);
    }
}

/// What is stored of a run.
struct Found {
    run: Option<Versioned<TaskRun>>,
    /// The natural key that is the run's, whether it is there or not, and the version of the claim.
    claimed: Option<(Key, u64)>,
}

/// Sorts reports by the run that they are recorded under.
///
/// That is the run with the report's natural key, whatever id the report has: clients that retry a flow run may give
/// the same task run another id. Where no run has the key yet, the first report of the batch gives the id.
fn grouped(reports: Vec<Report>, known: &Known) -> BTreeMap<TaskRunId, Vec<Report>> {
    let mut owners: HashMap<Key, TaskRunId> =
        known.owners.iter().map(|(key, (owner, _))| (key.clone(), *owner)).collect();
    let mut groups: BTreeMap<TaskRunId, Vec<Report>> = BTreeMap::new();
    for report in reports {
        let id = match report.natural_key() {
            Some(key) => *owners.entry(key).or_insert(report.task_run_id),
            None => report.task_run_id,
        };
        groups.entry(id).or_default().push(report);
    }
    groups
}

/// Records `reports` under the run `id`, of which so much was `found`.
async fn record_group(store: &Store, id: TaskRunId, found: Found, reports: &[Report]) -> Result<()> {
    let mut at = (id, found);
    for attempt in 0..commit::ATTEMPTS {
        match write(store, at.0, at.1, reports).await {
            Ok(()) => return Ok(()),
            Err(CommitError::Failed(error)) => return Err(error),
            Err(CommitError::ConditionFailed(_) | CommitError::Contended) => commit::back_off(attempt).await,
        }
        let known = Known::load(store, reports).await?;
        let id = reports.iter().find_map(|report| known.owner(report)).unwrap_or(id);
        at = (id, known.of(id, reports));
    }
    Err(Error::Unavailable("too many requests write the same task run".into()))
}

/// Writes what follows from `reports` for the run `id`, of which so much was `found`.
async fn write(store: &Store, id: TaskRunId, found: Found, reports: &[Report]) -> Result<(), CommitError> {
    let version = found.run.as_ref().map_or(0, |stored| stored.version);
    let before = found.run.map(|stored| stored.record);
    let (known, precedence) = precedence(store, id, before.as_ref(), reports).await?;
    let Recorded { run, states } = recorded(id, before.clone(), reports, &precedence);
    let Some(mut after) = run else { return Ok(()) };
    let current = before.as_ref().and_then(|run| run.state.as_ref());
    let states = states.into_iter().filter(|reported| !known.contains(&reported.state.id)).collect();
    let (mut writes, is_new) = store.remember_reports(&mut after, current, states)?;
    if !is_new && before.as_ref() == Some(&after) {
        return Ok(());
    }
    while writes.len() > STATES_WITH_RUN {
        let rest = writes.split_off(STATES_WITH_RUN);
        store.commit(std::mem::replace(&mut writes, rest)).await?;
    }
    let (had, has) = (before.as_ref().and_then(natural_key), natural_key(&after));
    if let Some(key) = has.clone().filter(|_| had != has) {
        match (&before, found.claimed.filter(|(claimed, _)| *claimed == key)) {
            (Some(_), Some(_)) => {}
            (Some(_), None) => writes.push(store.claim(key, id)?),
            (None, Some((_, version))) => writes.push(store.take_over(key, id, version)?),
            (None, None) => store.commit(vec![store.claim(key, id)?]).await?,
        }
    }
    writes.extend(had.filter(|had| Some(had) != has.as_ref()).map(Write::Delete));
    let mut item = Item::of(&after, version + 1, store.shards())?;
    item.announced = Some(item.version);
    writes.push(if version == 0 { Write::Insert(item) } else { Write::Replace(item) });
    store.commit(writes).await
}

/// Returns which states are known besides those in the run, and what has to be known of the order of a run's states to
/// place `reports` among them.
async fn precedence(
    store: &Store,
    id: TaskRunId,
    before: Option<&TaskRun>,
    reports: &[Report],
) -> Result<(HashSet<StateId>, Precedence), CommitError> {
    let of_batch = |mut precedence: Precedence| {
        for report in reports {
            precedence.note(report.state.id, report.follows);
        }
        precedence
    };
    let told = of_batch(Precedence::default());
    let current = before.and_then(|run| run.state.as_ref());
    if current.is_none_or(|current| reports.iter().all(|report| told.follows(report.state.id, current.id))) {
        return Ok((HashSet::new(), told));
    }
    let (known, precedence) = store.precedence(id).await?;
    Ok((known, of_batch(precedence)))
}

/// What some reports make of a run.
struct Recorded {
    /// The run, if there is one then.
    run: Option<TaskRun>,
    /// The states for its history.
    states: Vec<ReportedState>,
}

/// Decides what `reports` make of a run.
fn recorded(id: TaskRunId, before: Option<TaskRun>, reports: &[Report], precedence: &Precedence) -> Recorded {
    let mut by_time: Vec<Report> = reports.to_vec();
    by_time.sort_by_key(|report| report.state.timestamp);
    let mut in_order = precedence.sort(by_time, |report| report.state.id);
    let mut run = before;
    for report in &mut in_order {
        report.state.state_details.task_run_id = Some(id);
        match &mut run {
            None => {
                let mut new = TaskRun { id, ..report.run.clone() };
                if !report.sent.contains(&Field::Name) {
                    new.name = random_name();
                }
                report.apply(&mut new);
                run = Some(new);
            }
            Some(run) if report.supersedes(run.state.as_ref(), precedence) => report.apply(run),
            Some(_) => {}
        }
    }
    let reported = |report: Report| ReportedState {
        is_told_by_event: report.state.id.0 == report.event.0,
        state: report.state,
        follows: report.follows,
    };
    Recorded { run, states: in_order.into_iter().map(reported).collect() }
}
