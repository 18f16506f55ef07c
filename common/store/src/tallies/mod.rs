//! Tallies of flow runs and events, as a database keeps them beside the table.
//!
//! A database that keeps tallies knows nothing of what is counted: it hands each change of an item to [`deltas`], adds what
//! comes back to its rows in the transaction of the change, and sums rows up ([`Backend::tallies`](crate::Backend::tallies)).
//! One that keeps none answers so, and the planner looks at the runs themselves.

mod counting;
mod events;
pub mod fill;
mod places;
#[cfg(test)]
mod proof;
mod query;
mod recount;

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::{Item, Key, table::Subject, unreadable};
use domain::tallies::{Cover, Leaf, Period, Scope, TalliedRun, delta};

pub use counting::{CountedBatch, CountedChange};
pub(crate) use counting::{cut, is_followed, is_usual, tallied_fields};
pub use domain::tallies::{Cell, Sums, add};
pub(crate) use places::WithRuns;
pub use query::READ;

/// Where rows of tallies are, and where one is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TallyKey {
    /// How long its period is.
    pub length: Length,
    /// Which runs are counted in it.
    pub scope: Vec<u8>,
    /// The number of its period since the epoch.
    pub period: i64,
    /// The cell.
    pub cell: String,
}

/// How long a period is; the numbers are a part of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Length {
    /// All time, and no time.
    Whole = 0,
    /// An hour.
    Hour = 1,
    /// A minute.
    Minute = 2,
    /// A second, which events alone are counted by.
    Second = 3,
}

/// How rows change.
pub type Deltas = BTreeMap<TallyKey, Sums>;

/// Rows that are summed up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TallyRange {
    /// How long their periods are.
    pub length: Length,
    /// Which runs are counted in them; none for each scope by itself.
    pub scope: Option<Vec<u8>>,
    /// The first period.
    pub first: i64,
    /// The last one.
    pub last: i64,
    /// Whether each period is told by itself.
    pub each: bool,
}

impl TallyRange {
    /// Returns the rows of all time of a scope, or of each scope by itself.
    fn whole(scope: Option<Vec<u8>>) -> Self {
        Self { length: Length::Whole, scope, first: 0, last: 0, each: false }
    }

    /// Returns the rows of the hours and minutes of a window, of each of `scopes`.
    fn within<'s>(cover: &Cover, scopes: impl IntoIterator<Item = &'s Vec<u8>>) -> Vec<Self> {
        let Cover { hours, minutes: [before, after], .. } = cover;
        let periods = [(Length::Hour, hours), (Length::Minute, before), (Length::Minute, after)];
        let of_scope = |scope: &'s Vec<u8>| {
            let some = periods.iter().filter(|(_, periods)| !periods.is_empty());
            some.map(|(length, periods)| Self {
                length: *length,
                scope: Some(scope.clone()),
                first: periods.start,
                last: periods.end - 1,
                each: false,
            })
        };
        scopes.into_iter().flat_map(of_scope).collect()
    }
}

/// What is in the rows of some ranges.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tallied {
    /// The sums of each range; where a period is not told by itself, they stand under the first one of the range.
    pub sums: BTreeMap<TallyKey, Sums>,
    /// How many rows were read.
    pub rows: usize,
}

/// The items whose changes tallies follow: what partition keys begin with, and sort keys.
pub const FOLLOWED: [(&str, &str); 4] =
    [("flow_run#", "run"), ("event#", "event"), ("events_at#", "event#"), ("flow_run_event#", "event#")];

/// Returns how tallies change when the item under `key` changes; one that can't be read counts as none.
pub fn deltas(key: &Key, before: Option<&Item>, after: Option<&Item>) -> Deltas {
    match Subject::of(key) {
        Some(Subject::FlowRun(_)) => {}
        Some(subject) if subject.is_event() => return events::deltas(before, after),
        _ => return Deltas::new(),
    }
    let delta = delta(before.and_then(tallied::<TalliedRun>).as_ref(), after.and_then(tallied).as_ref());
    delta.iter().map(|(scope, period, cell, sums)| (key_of(scope, period, cell), sums)).collect()
}

/// Adds `more` to `deltas`; what comes to nothing is gone.
pub fn merge(deltas: &mut Deltas, more: Deltas) {
    for (key, sums) in more {
        add(deltas, key, sums);
    }
}

/// Reads what of a record is tallied, which is all in its `head`.
fn tallied<T: DeserializeOwned>(item: &Item) -> Option<T> {
    let head = item.head.as_deref()?;
    let read = |text: &str| serde_json::from_str(text).ok();
    read(head).or_else(|| read(&unreadable::mended_json(head)?))
}

fn key_of(scope: Scope, period: Period, cell: &Cell) -> TallyKey {
    let (length, period) = match period {
        Period::Whole => (Length::Whole, 0),
        Period::Hour(hour) => (Length::Hour, hour),
        Period::Minute(minute) => (Length::Minute, minute),
    };
    TallyKey { length, scope: written(scope), period, cell: cell.to_string() }
}

/// Writes a scope: nothing for all runs, and for a leaf which of its ids there are, and the ids.
fn written(scope: Scope) -> Vec<u8> {
    let Scope::Leaf(Leaf { flow, deployment, work_queue }) = scope else { return Vec::new() };
    let (deployment, work_queue) = (deployment.map(Uuid::from), work_queue.map(Uuid::from));
    let present = u8::from(deployment.is_some()) + 2 * u8::from(work_queue.is_some());
    let ids = [Some(flow.0), deployment, work_queue];
    std::iter::once(present).chain(ids.into_iter().flatten().flat_map(Uuid::into_bytes)).collect()
}

/// Reads a leaf; nothing if the scope is none.
fn leaf(scope: &[u8]) -> Option<Leaf> {
    let (present, ids) = scope.split_first()?;
    let mut ids = ids.chunks_exact(16).filter_map(|id| Uuid::from_slice(id).ok());
    let flow = ids.next()?.into();
    let deployment = if present & 1 == 0 { None } else { Some(ids.next()?.into()) };
    let work_queue = if present & 2 == 0 { None } else { Some(ids.next()?.into()) };
    Some(Leaf { flow, deployment, work_queue })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Record, Shards, events::TimedPlace, record::Json, table};
    use domain::model::{
        DeploymentId, EventId, FlowId, FlowRun, FlowRunId, Seconds, State, StateId, StateType, TaskRunId, Timestamp,
        WorkQueueId,
    };

    fn run() -> FlowRun {
        let now = Timestamp::now();
        let mut run = FlowRun::new(FlowRunId::new(), FlowId::new(), "a run", now);
        run.deployment_id = Some(DeploymentId::new());
        run.work_queue_id = Some(WorkQueueId::new());
        run.parent_task_run_id = Some(TaskRunId::new());
        (run.expected_start_time, run.start_time) = (Some(now), Some(now.plus_seconds(2.5)));
        run.total_run_time = Seconds::from_micros(7_500_000);
        let state = State::new(StateId::new(), StateType::Running, now);
        (run.state_type, run.state_name) = (Some(state.r#type), Some(state.name.clone()));
        run.state = Some(state);
        run
    }

    #[test]
    fn what_is_tallied_is_in_the_head() {
        for run in [run(), FlowRun::new(FlowRunId::new(), FlowId::new(), "another", Timestamp::now())] {
            let item = Item::of(&run, 1, Shards(1)).unwrap();
            assert_eq!(tallied::<TalliedRun>(&item), Some(TalliedRun::from(&run)));
        }
    }

    #[test]
    fn the_items_that_are_followed_are_flow_runs_and_events() {
        for (Key { pk, sk }, (begins_with, sort)) in [
            run().key(),
            table::event(EventId::new()),
            table::timed_event(3, TimedPlace::Told(EventId::new())),
            table::flow_run_event(run().id, EventId::new()),
        ]
        .into_iter()
        .zip(FOLLOWED)
        {
            assert!(pk.starts_with(begins_with) && sk.starts_with(sort), "{pk} / {sk}");
        }
    }

    #[test]
    fn other_items_change_no_tally() {
        let item = Item::of(&run(), 1, Shards(1)).unwrap();
        assert_eq!(deltas(&item.key, None, Some(&item)).len(), 6);
        assert_eq!(deltas(&item.key, Some(&item), Some(&item)), Deltas::new());
        assert_eq!(deltas(&table::flow(FlowId::new()), None, Some(&item)), Deltas::new());
        assert_eq!(deltas(&item.key.tombstone(), None, Some(&item)), Deltas::new());
    }

    #[test]
    fn a_run_that_cannot_be_read_is_not_counted() {
        let (whole, mut broken) = (Item::of(&run(), 1, Shards(1)).unwrap(), Item::of(&run(), 1, Shards(1)).unwrap());
        broken.head = Some("{}".into());
        assert!(FlowRun::parse("{}").is_err());
        assert_eq!(deltas(&whole.key, Some(&broken), Some(&whole)), deltas(&whole.key, None, Some(&whole)));
    }

    #[test]
    fn a_leaf_is_read_as_it_was_written() {
        let (flow, deployment, queue) = (FlowId::new(), Some(DeploymentId::new()), Some(WorkQueueId::new()));
        for (deployment, work_queue) in [(None, None), (deployment, None), (None, queue), (deployment, queue)] {
            let written_leaf = Leaf { flow, deployment, work_queue };
            assert_eq!(leaf(&written(Scope::Leaf(written_leaf))), Some(written_leaf));
        }
        assert_eq!(leaf(&written(Scope::All)), None);
    }
}
