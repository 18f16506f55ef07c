//! The states of runs in the table: a run's history, and each state by its id.
//!
//! A run's item holds its states, so that a transition is one write. A state has an item of its own if something has to
//! find it by itself: a timer of a subflow run, its name where that is unusual, its id where nothing tells the run.
//! When an item gets long, the oldest states move out of it, in the transition that would make it longer.
//!
//! The states of task runs are told by events, in any order, and have the ids of these. The event tells the run of a
//! state for as long as it is kept, and a run that has ended is found by the id of its last state, which its answers
//! name.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Item, Key, Record, Store, TableAccess, Write,
    events::FLOW_RUN_RESOURCE,
    query::Range,
    table::{self, Collection, Index, IndexKey, Shards, Subject},
};
use domain::{
    model::{EventId, FlowRun, FlowRunId, PastStates, ReceivedEvent, State, StateId, TaskRun, TaskRunId, Timestamp},
    precedence::Precedence,
};
use error::Result;

/// What the id of every task run starts with when it is a resource.
const TASK_RUN_RESOURCE: &str = "prefect.task-run.";

/// How many states a run's item keeps of those that it has left, at most.
const MOST_LEFT: usize = 8;

/// How many bytes of JSON these have together at most.
const MOST_BYTES: usize = 2_048;

/// A run whose item holds its states.
pub trait StatefulRun: Record {
    /// Returns the current state.
    fn current(&self) -> Option<&State>;

    /// Returns what it remembers of its states.
    fn past(&self) -> &PastStates;

    /// Returns what it remembers of its states, to be changed.
    fn past_mut(&mut self) -> &mut PastStates;

    /// Says whether the id of a state tells that it is the run's.
    fn is_told_by(&self, state: StateId) -> bool;

    /// Says whether the run's own place in the index that finds timers is taken.
    fn has_timers_apart(&self) -> bool;

    /// Returns the id of the state that the run enters next.
    fn next_state_id(&self) -> StateId;
}

impl StatefulRun for FlowRun {
    fn current(&self) -> Option<&State> {
        self.state.as_ref()
    }

    fn past(&self) -> &PastStates {
        &self.past
    }

    fn past_mut(&mut self) -> &mut PastStates {
        &mut self.past
    }

    fn is_told_by(&self, state: StateId) -> bool {
        FlowRunId::of_state(state) == self.id
    }

    /// A subflow run is found there by what is around it.
    fn has_timers_apart(&self) -> bool {
        self.parent_task_run_id.is_some()
    }

    fn next_state_id(&self) -> StateId {
        self.id.state_id(self.past.entered.saturating_add(1))
    }
}

impl StatefulRun for TaskRun {
    fn current(&self) -> Option<&State> {
        self.state.as_ref()
    }

    fn past(&self) -> &PastStates {
        &self.past
    }

    fn past_mut(&mut self) -> &mut PastStates {
        &mut self.past
    }

    fn is_told_by(&self, state: StateId) -> bool {
        TaskRunId::of_state(state) == self.id
    }

    /// It is found there by the state in which it has ended.
    fn has_timers_apart(&self) -> bool {
        true
    }

    fn next_state_id(&self) -> StateId {
        self.id.state_id(self.past.entered.saturating_add(1))
    }
}

/// A state of a task run as it is reported.
#[derive(Clone, Debug)]
pub struct ReportedState {
    /// The state.
    pub state: State,
    /// The state that it follows, if the report says so.
    pub follows: Option<StateId>,
    /// Whether an event has the state's id, and tells its run.
    pub is_told_by_event: bool,
}

/// A state in the history of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HistoricState {
    #[serde(skip, default = "nowhere")]
    run: Key,
    /// The state, as it was entered.
    #[serde(flatten)]
    pub state: State,
    /// The state that this one follows, if whoever reported it has said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follows: Option<StateId>,
    /// When the server acts on a run that is still in this state.
    #[serde(skip)]
    timer: Option<Timestamp>,
}

fn nowhere() -> Key {
    Key { pk: String::new(), sk: String::new() }
}

impl HistoricState {
    /// Makes the record of `state` in the history of the run under the key `run`.
    ///
    /// The server acts on it at the time of `timer`.
    pub fn new(run: Key, state: State, timer: Option<Timestamp>) -> Self {
        Self { run, state, follows: None, timer }
    }
}

crate::json_record!(HistoricState);

impl Record for HistoricState {
    const HEAD: &'static [&'static str] = &["id", "type", "name", "timestamp"];
    const SPARSE: &'static [&'static str] = &["state_details"];

    fn key(&self) -> Key {
        table::state(&self.run, self.state.timestamp, self.state.id)
    }

    fn index_keys(&self, shards: Shards) -> Vec<IndexKey> {
        let id = self.state.id;
        let tells_its_run = match Subject::of(&self.run) {
            Some(Subject::FlowRun(run)) => FlowRunId::of_state(id) == run,
            Some(Subject::TaskRun(run)) => TaskRunId::of_state(id) == run,
            _ => false,
        };
        let lookup = || IndexKey { index: Index::Lookup, pk: table::state_lookup(id), sk: self.key().sk };
        let mut index_keys: Vec<IndexKey> = (!tells_its_run).then(lookup).into_iter().collect();
        // An entry costs a write unit, and nearly all states have names that every server has seen.
        if !self.state.has_usual_name() {
            let called = table::states_called(self.state.r#type, &self.state.name);
            index_keys.push(IndexKey {
                index: Index::ByName,
                pk: shards.of_groups_in(Index::ByName).within(&called, id.0),
                sk: table::sort_with_id(&self.state.timestamp.sortable(), id),
            });
        }
        index_keys.extend(self.timer.map(|due| {
            let sk = table::sort_with_id(&due.sortable(), id);
            IndexKey { index: Index::Related, pk: shards.of(Collection::Timers, id.0), sk }
        }));
        index_keys
    }
}

/// What [`Store::flow_run_state`] and [`Store::task_run_state`] touch.
pub const READ: TableAccess = TableAccess::READS.via(&[Index::Lookup, Index::Related]);

impl Store {
    /// Returns the write that adds `state` to the history of the run under the key `run`.
    ///
    /// A state's content derives from its id, so writing it again changes nothing. The server acts on it at the time of
    /// `timer`.
    pub fn put_state(&self, run: Key, state: &State, timer: Option<Timestamp>) -> Result<Write> {
        Ok(Write::Put(Item::of(&HistoricState::new(run, state.clone(), timer), 1, self.shards())?))
    }

    /// Lets `run`, which was in the state `before`, remember that it has entered its current one, on which the server
    /// acts at the time of `timer`; returns the writes of the states that are kept by themselves from now on.
    pub fn remember_state<R: StatefulRun>(
        &self,
        run: &mut R,
        before: Option<&State>,
        timer: Option<Timestamp>,
    ) -> Result<Vec<Write>> {
        let key = run.key();
        let is_left_within = !run.past().has_current_apart();
        run.past_mut().left.extend(before.filter(|_| is_left_within).cloned());
        let mut writes = self.shed(&key, run.past_mut())?;
        let has_timers_apart = run.has_timers_apart();
        let entered = run.current().cloned();
        let tells_its_run = entered.as_ref().is_some_and(|state| run.is_told_by(state.id));
        let past = run.past_mut();
        past.entered = past.entered.saturating_add(1);
        if let Some(state) = &entered {
            past.due = timer.filter(|_| !has_timers_apart);
            let is_timed_apart = timer.is_some() && past.due.is_none();
            past.is_apart = is_timed_apart || !tells_its_run || !state.has_usual_name();
            if past.is_apart {
                writes.push(self.put_state(key, state, timer.filter(|_| is_timed_apart))?);
            }
        }
        Ok(writes)
    }

    /// Lets `run`, which was in the state `before`, remember what was `reported`, in which its current state is if that
    /// is another one; returns the writes of the states that are kept by themselves from now on, and whether anything
    /// is new.
    ///
    /// Of reports of one state the first counts.
    pub fn remember_reports(
        &self,
        run: &mut TaskRun,
        before: Option<&State>,
        reported: Vec<ReportedState>,
    ) -> Result<(Vec<Write>, bool)> {
        let (key, mut writes) = (table::task_run(run.id), Vec::new());
        let current = run.state.as_ref().map(|state| state.id);
        let had_current_apart = run.past.has_current_apart();
        let mut known: HashSet<StateId> = run.past.left.iter().chain(before).map(|state| state.id).collect();
        if before.map(|state| state.id) == current {
            run.past.is_apart = before.is_some() && had_current_apart;
        } else {
            run.past.left.extend(before.filter(|_| !had_current_apart).cloned());
            // A state of which there was a late report, and that was left then, is entered after all; else it is apart.
            let left = run.past.left.len();
            run.past.left.retain(|state| Some(state.id) != current);
            run.past.is_apart = left == run.past.left.len();
        }
        let mut is_new = false;
        for ReportedState { state, follows, is_told_by_event } in reported {
            if !known.insert(state.id) {
                continue;
            }
            is_new = true;
            run.past.entered = run.past.entered.saturating_add(1);
            let tells_its_run = is_told_by_event || run.is_told_by(state.id);
            let (is_apart, is_current) = (!tells_its_run || !state.has_usual_name(), Some(state.id) == current);
            if is_current {
                run.past.is_apart = is_apart;
            }
            if is_apart {
                writes.push(self.put_reported_state(&key, state, follows)?);
                continue;
            }
            run.past.follows.extend(follows.map(|before| (state.id, before)));
            if !is_current {
                run.past.left.push(state);
            }
        }
        run.past.left.sort_by_key(|state| (state.timestamp, state.id));
        writes.extend(self.shed(&key, &mut run.past)?);
        Ok((writes, is_new))
    }

    /// Takes the oldest states out of what the run under the key `run` remembers, as far as that is too long for its
    /// item; returns the writes that keep them by themselves.
    fn shed(&self, run: &Key, past: &mut PastStates) -> Result<Vec<Write>> {
        let mut sizes = past.left.iter().map(serde_json::to_vec).collect::<Result<Vec<_>, _>>()?;
        let mut writes = Vec::new();
        while sizes.len() > MOST_LEFT || sizes.iter().map(Vec::len).sum::<usize>() > MOST_BYTES {
            sizes.remove(0);
            let state = past.left.remove(0);
            let follows = past.follows.remove(&state.id);
            writes.push(self.put_reported_state(run, state, follows)?);
        }
        Ok(writes)
    }

    /// Returns the write that adds the reported `state`, which `follows` another one, to the history of a run.
    fn put_reported_state(&self, run: &Key, state: State, follows: Option<StateId>) -> Result<Write> {
        let reported = HistoricState { follows, ..HistoricState::new(run.clone(), state, None) };
        Ok(Write::Put(Item::of(&reported, 1, self.shards())?))
    }

    /// Says whether the run under the key `run` has entered `state`.
    ///
    /// The id alone does not tell: requests that come at once may propose states of the same number.
    pub async fn has_entered(&self, run: &Key, state: &State) -> Result<bool> {
        let apart = table::state(run, state.timestamp, state.id);
        let found = self.get_items(&[run.clone(), apart.clone()]).await?;
        let known = |state: &State| (state.id, state.timestamp, state.r#type, state.state_details.transition_id);
        let is_within = |item: &Item| states_within(item).iter().any(|within| known(within) == known(state));
        Ok(found.iter().any(|item| item.key == apart || is_within(item)))
    }

    /// Reads which states of a task run are known, and what is known of their order.
    pub async fn precedence(&self, id: TaskRunId) -> Result<(HashSet<StateId>, Precedence)> {
        let history = self.history(table::task_run(id)).await?;
        Ok((history.iter().map(|reported| reported.state.id).collect(), precedence_of(&history)))
    }

    /// Reads the states of a flow run, oldest first.
    pub async fn flow_run_states(&self, id: FlowRunId) -> Result<Vec<State>> {
        let history = self.history(table::flow_run(id)).await?;
        Ok(history.into_iter().map(|entered| entered.state).collect())
    }

    /// Reads the states of a task run, each behind the one that it follows, oldest first.
    pub async fn task_run_states(&self, id: TaskRunId) -> Result<Vec<State>> {
        let history = self.history(table::task_run(id)).await?;
        let sorted = precedence_of(&history).sort(history, |reported| reported.state.id);
        Ok(sorted.into_iter().map(|reported| reported.state).collect())
    }

    /// Reads the states of a run, those in its item and those that have items of their own, oldest first.
    async fn history(&self, run: Key) -> Result<Vec<HistoricState>> {
        // The run sorts right before its states; without it they are about to be deleted as well.
        let range = Range::partition(run.pk).between(Some(run.sk), Some(table::STATES.into()));
        let (mut history, mut within) = (Vec::new(), Vec::new());
        for item in self.read_all(range).await? {
            if table::run_of_state(&item.key).is_some() {
                history.extend(item.readable::<HistoricState>());
            } else {
                within = history_within(&item);
            }
        }
        history.extend(within);
        history.sort_by_key(|entered| entered.state.timestamp);
        Ok(history)
    }

    /// Reads the state `id` of a flow run.
    pub async fn flow_run_state(&self, id: StateId) -> Result<Option<State>> {
        match self.state_in(id, table::flow_run(FlowRunId::of_state(id))).await? {
            None => self.state_apart(id, "flow_run#").await,
            found => Ok(found),
        }
    }

    /// Reads the state `id` of a task run.
    ///
    /// Clients read the states of a run, so a state that is found by its id alone may take a few reads more.
    pub async fn task_run_state(&self, id: StateId) -> Result<Option<State>> {
        if let Some(found) = self.state_in(id, table::task_run(TaskRunId::of_state(id))).await? {
            return Ok(Some(found));
        }
        if let Some(found) = self.state_apart(id, "task_run#").await? {
            return Ok(Some(found));
        }
        let ended_in = self.read_all(Range::of_index(Index::Related, table::state_lookup(id))).await?;
        let mut runs: Vec<Key> = ended_in.into_iter().map(|item| item.key).collect();
        if let Some(event) = self.told_event(EventId(id.0)).await? {
            runs.extend(event.resource.id().strip_prefix(TASK_RUN_RESOURCE).and_then(task_run_named));
            // It is another one where the flow run was tried again under other ids.
            if let Some(claim) = place_of_told_run(&event) {
                runs.extend(self.owner(&claim).await?.map(|id| table::task_run(id.into())));
            }
        }
        for run in runs {
            if let Some(found) = self.state_in(id, run).await? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Reads the state `id` that the run under the key `run` entered at `time`.
    pub(super) async fn state_at(&self, run: &Key, time: Timestamp, id: StateId) -> Result<Option<State>> {
        let apart = table::state(run, time, id);
        let found = self.get_items(&[run.clone(), apart]).await?;
        let within = found.iter().flat_map(states_within).find(|state| state.id == id);
        let of_item = |item: &Item| table::run_of_state(&item.key).and_then(|_| item.readable::<HistoricState>());
        Ok(within.or_else(|| found.iter().find_map(of_item).map(|entered| entered.state)))
    }

    /// Reads the state `id` among those of the run under the key `run`.
    async fn state_in(&self, id: StateId, run: Key) -> Result<Option<State>> {
        let states = self.history(run).await?;
        Ok(states.into_iter().map(|entered| entered.state).find(|state| state.id == id))
    }

    /// Reads the state `id` of a run in one of `partitions`, if it has an item of its own that is found by its id.
    async fn state_apart(&self, id: StateId, partitions: &str) -> Result<Option<State>> {
        let found = self.read_all(Range::of_index(Index::Lookup, table::state_lookup(id))).await?;
        let Some(found) = found.into_iter().find(|item| item.key.pk.starts_with(partitions)) else { return Ok(None) };
        let state = self.get::<HistoricState>(&found.key).await?;
        Ok(state.map(|state| state.record.state))
    }
}

/// Returns the states that are in a run's item alone, the oldest first.
pub(crate) fn states_within(item: &Item) -> Vec<State> {
    history_within(item).into_iter().map(|entered| entered.state).collect()
}

/// Returns the states that the item of a flow run, or of one of its states, tells, as far as their ids tell the run.
pub(crate) fn told_states(item: &Item) -> Vec<State> {
    let mut states = match table::run_of_state(&item.key) {
        Some(_) => item.readable::<HistoricState>().map(|entered| entered.state).into_iter().collect(),
        None => states_within(item),
    };
    states.retain(|state| table::flow_run(FlowRunId::of_state(state.id)).pk == item.key.pk);
    states
}

fn history_within(item: &Item) -> Vec<HistoricState> {
    match Subject::of(&item.key) {
        Some(Subject::FlowRun(_)) => item.readable::<FlowRun>().as_ref().map(history_in),
        Some(Subject::TaskRun(_)) => item.readable::<TaskRun>().as_ref().map(history_in),
        _ => None,
    }
    .unwrap_or_default()
}

fn history_in<R: StatefulRun>(run: &R) -> Vec<HistoricState> {
    let (key, past) = (run.key(), run.past());
    let current = run.current().filter(|_| !past.has_current_apart());
    let entered = |state: &State| {
        let follows = past.follows.get(&state.id).copied();
        HistoricState { follows, ..HistoricState::new(key.clone(), state.clone(), None) }
    };
    past.left.iter().chain(current).map(entered).collect()
}

fn task_run_named(id: &str) -> Option<Key> {
    id.parse().ok().map(table::task_run)
}

/// Returns the claim on the place in its flow run of the task run that an event tells of.
fn place_of_told_run(event: &ReceivedEvent) -> Option<Key> {
    let flow_run = event.related.iter().find_map(|related| related.resource().id().strip_prefix(FLOW_RUN_RESOURCE))?;
    let text = |key: &str| event.payload.get("task_run")?.get(key).and_then(Value::as_str);
    Some(table::unique_task_run(Some(flow_run.parse().ok()?), text("task_key")?, text("dynamic_key")?))
}

fn precedence_of(history: &[HistoricState]) -> Precedence {
    let mut precedence = Precedence::default();
    for reported in history {
        precedence.note(reported.state.id, reported.follows);
    }
    precedence
}
