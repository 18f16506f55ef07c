//! The states of runs in the table: a run's history, and each state by its id.

use serde::{Deserialize, Serialize};

use super::{
    Item, Key, Record, Store, TableAccess, Write,
    query::Range,
    table::{self, Collection, Index, IndexKey, Shards},
};
use domain::{
    model::{FlowRunId, State, StateId, TaskRunId, Timestamp},
    precedence::Precedence,
};
use error::Result;

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

    fn key(&self) -> Key {
        table::state(&self.run, self.state.timestamp, self.state.id)
    }

    fn index_keys(&self, shards: Shards) -> Vec<IndexKey> {
        let id = self.state.id;
        let mut index_keys = vec![IndexKey { index: Index::Lookup, pk: table::state_lookup(id), sk: self.key().sk }];
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

    /// Reads what is known of the order of a task run's states.
    pub async fn precedence(&self, id: TaskRunId) -> Result<Precedence> {
        Ok(precedence_of(&self.history(table::task_run(id)).await?))
    }

    /// Reads the states of a flow run, oldest first.
    pub async fn flow_run_states(&self, id: FlowRunId) -> Result<Vec<State>> {
        self.states(table::flow_run(id)).await
    }

    /// Reads the states of a task run, each behind the one that it follows, oldest first.
    pub async fn task_run_states(&self, id: TaskRunId) -> Result<Vec<State>> {
        let history = self.history(table::task_run(id)).await?;
        let sorted = precedence_of(&history).sort(history, |reported| reported.state.id);
        Ok(sorted.into_iter().map(|reported| reported.state).collect())
    }

    async fn states(&self, run: Key) -> Result<Vec<State>> {
        Ok(self.history(run).await?.into_iter().map(|reported| reported.state).collect())
    }

    async fn history(&self, run: Key) -> Result<Vec<HistoricState>> {
        // The run sorts right before its states; without it they are about to be deleted as well.
        let range = Range::partition(run.pk).between(Some(run.sk.clone()), Some(table::STATES.into()));
        let mut items = self.read_all(range).await?.into_iter().peekable();
        if items.next_if(|item| item.key.sk == run.sk).is_none() {
            return Ok(Vec::new());
        }
        Ok(items.filter_map(|item| item.readable::<HistoricState>()).collect())
    }

    /// Reads the state `id` of a flow run.
    pub async fn flow_run_state(&self, id: StateId) -> Result<Option<State>> {
        self.state_of(id, "flow_run#").await
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

fn precedence_of(history: &[HistoricState]) -> Precedence {
    let mut precedence = Precedence::default();
    for reported in history {
        precedence.note(reported.state.id, reported.follows);
    }
    precedence
}
