//! The states of runs in the table: a run's history, and each state by its id.
//!
//! A flow run's item holds its states, so that a transition is one write. A state has an item of its own if something has
//! to find it by itself: a timer of a subflow run, its name where that is unusual, its id where that does not tell the run. When an item
//! gets long, the oldest states move out of it, in the transition that would make it longer. The states of task runs are
//! told by events in any order, so each has an item.

use serde::{Deserialize, Serialize};

use super::{
    Item, Key, Record, Store, TableAccess, Write,
    query::Range,
    table::{self, Collection, Index, IndexKey, Shards},
};
use domain::{
    model::{FlowRun, FlowRunId, State, StateId, TaskRunId, Timestamp},
    precedence::Precedence,
};
use error::Result;

use super::table::Subject;

/// How many states a flow run's item keeps of those that it has left, at most.
const MOST_LEFT: usize = 8;

/// How many bytes of JSON these have together at most.
const MOST_BYTES: usize = 2_048;

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
        let tells_its_run = Subject::of(&self.run) == Some(Subject::FlowRun(FlowRunId::of_state(id)));
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
pub const READ: TableAccess = TableAccess::READS.via(&[Index::Lookup]);

impl Store {
    /// Returns the write that adds `state` to the history of the run under the key `run`.
    ///
    /// A state's content derives from its id, so writing it again changes nothing. The server acts on it at the time of
    /// `timer`.
    pub fn put_state(&self, run: Key, state: &State, timer: Option<Timestamp>) -> Result<Write> {
        Ok(Write::Put(Item::of(&HistoricState::new(run, state.clone(), timer), 1, self.shards())?))
    }

    /// Returns the write that adds the reported `state`, which `follows` another one, to the history of the task run `id`.
    pub fn put_reported_state(&self, id: TaskRunId, state: &State, follows: Option<StateId>) -> Result<Write> {
        let reported = HistoricState { follows, ..HistoricState::new(table::task_run(id), state.clone(), None) };
        Ok(Write::Put(Item::of(&reported, 1, self.shards())?))
    }

    /// Lets `run`, which was in the state `before`, remember that it has entered its current one, on which the server acts at
    /// the time of `timer`; returns the writes of the states that are kept by themselves from now on.
    pub fn remember_state(
        &self,
        run: &mut FlowRun,
        before: Option<&State>,
        timer: Option<Timestamp>,
    ) -> Result<Vec<Write>> {
        let (key, mut writes) = (table::flow_run(run.id), Vec::new());
        run.past.left.extend(before.filter(|_| !run.past.has_current_apart()).cloned());
        let mut sizes = run.past.left.iter().map(serde_json::to_vec).collect::<Result<Vec<_>, _>>()?;
        while sizes.len() > MOST_LEFT || sizes.iter().map(Vec::len).sum::<usize>() > MOST_BYTES {
            sizes.remove(0);
            writes.push(self.put_state(key.clone(), &run.past.left.remove(0), None)?);
        }
        run.past.entered += 1;
        if let Some(state) = &run.state {
            let tells_its_run = FlowRunId::of_state(state.id) == run.id;
            // The index that finds timers finds subflow runs by what is around them.
            run.past.due = timer.filter(|_| run.parent_task_run_id.is_none());
            let is_timed_apart = timer.is_some() && run.past.due.is_none();
            run.past.is_apart = is_timed_apart || !tells_its_run || !state.has_usual_name();
            if run.past.is_apart {
                writes.push(self.put_state(key, state, timer.filter(|_| is_timed_apart))?);
            }
        }
        Ok(writes)
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

    /// Reads what is known of the order of a task run's states.
    pub async fn precedence(&self, id: TaskRunId) -> Result<Precedence> {
        Ok(precedence_of(&self.history(table::task_run(id)).await?))
    }

    /// Reads the states of a flow run, oldest first.
    pub async fn flow_run_states(&self, id: FlowRunId) -> Result<Vec<State>> {
        let (run, apart) = self.run_and_states(table::flow_run(id)).await?;
        let apart = apart.into_iter().map(|reported| reported.state);
        let mut states: Vec<State> = apart.chain(run.as_ref().map(states_within).unwrap_or_default()).collect();
        states.sort_by_key(|state| state.timestamp);
        Ok(states)
    }

    /// Reads the states of a task run, each behind the one that it follows, oldest first.
    pub async fn task_run_states(&self, id: TaskRunId) -> Result<Vec<State>> {
        let history = self.history(table::task_run(id)).await?;
        let sorted = precedence_of(&history).sort(history, |reported| reported.state.id);
        Ok(sorted.into_iter().map(|reported| reported.state).collect())
    }

    async fn history(&self, run: Key) -> Result<Vec<HistoricState>> {
        Ok(self.run_and_states(run).await?.1)
    }

    /// Reads a run, and those of its states that have items of their own; nothing without the run.
    async fn run_and_states(&self, run: Key) -> Result<(Option<Item>, Vec<HistoricState>)> {
        // The run sorts right before its states; without it they are about to be deleted as well.
        let range = Range::partition(run.pk).between(Some(run.sk.clone()), Some(table::STATES.into()));
        let mut items = self.read_all(range).await?.into_iter().peekable();
        match items.next_if(|item| item.key.sk == run.sk) {
            None => Ok((None, Vec::new())),
            run => Ok((run, items.filter_map(|item| item.readable::<HistoricState>()).collect())),
        }
    }

    /// Reads the state `id` of a flow run.
    pub async fn flow_run_state(&self, id: StateId) -> Result<Option<State>> {
        let of_its_run = self.flow_run_states(FlowRunId::of_state(id)).await?;
        match of_its_run.into_iter().find(|state| state.id == id) {
            None => self.state_of(id, "flow_run#").await,
            found => Ok(found),
        }
    }

    /// Reads the state `id` of a task run.
    pub async fn task_run_state(&self, id: StateId) -> Result<Option<State>> {
        self.state_of(id, "task_run#").await
    }

    async fn state_of(&self, id: StateId, partitions: &str) -> Result<Option<State>> {
        let found = self.read_all(Range::of_index(Index::Lookup, table::state_lookup(id))).await?;
        let Some(found) = found.into_iter().find(|item| item.key.pk.starts_with(partitions)) else { return Ok(None) };
        let state = self.get::<HistoricState>(&found.key).await?;
        Ok(state.map(|state| state.record.state))
    }
}

/// Returns the states that are in a flow run's item alone, the oldest first.
pub(crate) fn states_within(item: &Item) -> Vec<State> {
    let Some(Subject::FlowRun(_)) = Subject::of(&item.key) else { return Vec::new() };
    let Some(run) = item.readable::<FlowRun>() else { return Vec::new() };
    let current = run.state.filter(|_| !run.past.has_current_apart());
    run.past.left.into_iter().chain(current).collect()
}

fn precedence_of(history: &[HistoricState]) -> Precedence {
    let mut precedence = Precedence::default();
    for reported in history {
        precedence.note(reported.state.id, reported.follows);
    }
    precedence
}
