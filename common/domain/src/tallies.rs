//! Tallies: how many flow runs there are of each kind, and the sums that histories and averages are made of.
//!
//! A change of a run takes away what the run was counted as before, and adds what it is counted as after it
//! ([`delta`]). All of it is whole numbers, so that adding and taking away leaves exactly nothing, in any order. What
//! depends on the present time, such as how long a run is running, is in no sum: either the sums and the time give it,
//! or such runs are looked at one by one ([`History::live`](crate::history::History)).

mod cover;

use std::{collections::BTreeMap, fmt, ops::Neg, str::FromStr};

use serde::Deserialize;

pub use cover::{Cover, cover};

use crate::{
    history::whole_seconds,
    model::{DeploymentId, FlowId, FlowRun, Seconds, StateType, TaskRunId, Timestamp, WorkQueueId},
};

/// How many microseconds a second has.
pub const MICROS_A_SECOND: i64 = 1_000_000;

/// How many microseconds a minute has.
pub const MICROS_A_MINUTE: i64 = 60_000_000;

/// How many minutes an hour has.
pub const MINUTES_AN_HOUR: i64 = 60;

/// The fields of a flow run that decide where it is counted, and as what.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct TalliedRun {
    flow_id: FlowId,
    #[serde(default)]
    deployment_id: Option<DeploymentId>,
    #[serde(default)]
    work_queue_id: Option<WorkQueueId>,
    #[serde(default)]
    parent_task_run_id: Option<TaskRunId>,
    #[serde(default)]
    state_type: Option<StateType>,
    #[serde(default)]
    state_name: Option<String>,
    #[serde(default)]
    expected_start_time: Option<Timestamp>,
    #[serde(default)]
    start_time: Option<Timestamp>,
    #[serde(default)]
    total_run_time: Seconds,
}

impl From<&FlowRun> for TalliedRun {
    fn from(run: &FlowRun) -> Self {
        Self {
            flow_id: run.flow_id,
            deployment_id: run.deployment_id,
            work_queue_id: run.work_queue_id,
            parent_task_run_id: run.parent_task_run_id,
            state_type: run.state_type,
            state_name: run.state_name.clone(),
            expected_start_time: run.expected_start_time,
            start_time: run.start_time,
            total_run_time: run.total_run_time,
        }
    }
}

/// What runs have in common that come from the same place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Leaf {
    /// Their flow.
    pub flow: FlowId,
    /// The deployment that they come from.
    pub deployment: Option<DeploymentId>,
    /// Their work queue.
    pub work_queue: Option<WorkQueueId>,
}

/// Which runs are counted together, whatever their time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// All of them.
    All,
    /// Those of a leaf.
    Leaf(Leaf),
}

/// By when the runs that are counted together were expected to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Period {
    /// At any time, or at none.
    Whole,
    /// In this hour since the epoch.
    Hour(i64),
    /// In this minute since the epoch.
    Minute(i64),
}

/// What runs of a bucket have in common that are counted in one number.
///
/// As text it is the state's type, three digits and the state's name, with `|` between them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cell {
    /// The type of their state.
    pub state_type: Option<StateType>,
    /// The name of their state.
    pub state_name: Option<String>,
    /// Whether a task run of another flow run stands for each of them.
    pub is_subflow: bool,
    /// Whether they have started.
    pub has_started: bool,
    /// Whether they were expected to start at some time.
    pub is_expected: bool,
}

/// How many runs there are in a cell, and sums over them, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// How many runs there are.
    pub runs: i64,
    /// Of the whole seconds that each was running, without the current execution.
    pub run_time: i64,
    /// Of the whole seconds that each started too late.
    pub lateness: i64,
    /// Of the second in which each started, less the one in which it was expected, if it started too late.
    ///
    /// Prefect averages lateness by these, and sums it up in histories by [`Self::lateness`].
    pub late: i64,
    /// Of the seconds since the epoch at which each is expected that has not started.
    pub expected: i64,
}

/// Cells with what is counted in them.
pub type Cells = BTreeMap<Cell, Sums>;

/// How buckets change, or what is in them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tallies(BTreeMap<(Scope, Period, Cell), Sums>);

impl Sums {
    /// Returns whether nothing is counted.
    pub fn are_nothing(self) -> bool {
        self == Self::default()
    }

    /// Returns these and `other` together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let (one, other) = (self.to_array(), other.to_array());
        Self::from_array(std::array::from_fn(|place| one[place].saturating_add(other[place])))
    }

    /// Returns the numbers in the order of their fields.
    pub fn to_array(self) -> [i64; 5] {
        let Self { runs, run_time, lateness, late, expected } = self;
        [runs, run_time, lateness, late, expected]
    }

    /// Takes the numbers in the order of their fields.
    pub fn from_array([runs, run_time, lateness, late, expected]: [i64; 5]) -> Self {
        Self { runs, run_time, lateness, late, expected }
    }
}

impl Neg for Sums {
    type Output = Self;

    fn neg(self) -> Self {
        Self::from_array(self.to_array().map(i64::saturating_neg))
    }
}

impl Cell {
    /// Says whether these runs are the later the longer nobody starts them.
    pub fn waits(&self) -> bool {
        let has_ended = self.state_type.is_some_and(StateType::is_terminal);
        self.is_expected && !self.has_started && !has_ended
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { state_type, state_name, is_subflow, has_started, is_expected } = self;
        let (r#type, digit) = (state_type.map_or("", StateType::as_str), |is: &bool| u8::from(*is));
        write!(formatter, "{type}|{}{}{}", digit(is_subflow), digit(has_started), digit(is_expected))?;
        state_name.as_ref().map_or(Ok(()), |name| write!(formatter, "|{name}"))
    }
}

/// Says that a text is not a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the text is not the cell of a tally")]
pub struct NotACell;

impl FromStr for Cell {
    type Err = NotACell;

    fn from_str(text: &str) -> Result<Self, NotACell> {
        let mut fields = text.splitn(3, '|');
        let state_type = match fields.next().ok_or(NotACell)? {
            "" => None,
            text => Some(StateType::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or(NotACell)?),
        };
        let [is_subflow, has_started, is_expected] = match fields.next().map(str::as_bytes) {
            Some(digits @ [_, _, _]) if digits.iter().all(|digit| matches!(digit, b'0' | b'1')) => {
                [digits[0], digits[1], digits[2]].map(|digit| digit == b'1')
            }
            _ => return Err(NotACell),
        };
        let state_name = fields.next().map(ToOwned::to_owned);
        Ok(Self { state_type, state_name, is_subflow, has_started, is_expected })
    }
}

impl TalliedRun {
    /// Returns where the run belongs.
    pub fn leaf(&self) -> Leaf {
        Leaf { flow: self.flow_id, deployment: self.deployment_id, work_queue: self.work_queue_id }
    }

    /// Returns the cell that the run is counted in.
    pub fn cell(&self) -> Cell {
        Cell {
            state_type: self.state_type,
            state_name: self.state_name.clone(),
            is_subflow: self.parent_task_run_id.is_some(),
            has_started: self.start_time.is_some(),
            is_expected: self.expected_start_time.is_some(),
        }
    }

    /// Returns what the run adds to its cell.
    pub fn sums(&self) -> Sums {
        let late = match (self.start_time, self.expected_start_time) {
            (Some(start), Some(expected)) if start > expected => Some((expected, start)),
            _ => None,
        };
        let waits_for = self.expected_start_time.filter(|_| self.start_time.is_none());
        Sums {
            runs: 1,
            run_time: whole_seconds(self.total_run_time),
            lateness: late.map_or(0, |(expected, start)| whole_seconds(Seconds::between(expected, start))),
            late: late.map_or(0, |(expected, start)| start.as_seconds() - expected.as_seconds()),
            expected: waits_for.map_or(0, Timestamp::as_seconds),
        }
    }

    /// Returns the buckets that the run is counted in.
    fn buckets(&self) -> impl Iterator<Item = (Scope, Period)> {
        let minute = self.expected_start_time.map(minute_of);
        let hour = minute.map(|minute| Period::Hour(minute.div_euclid(MINUTES_AN_HOUR)));
        let periods = [Some(Period::Whole), hour, minute.map(Period::Minute)];
        let scopes = [Scope::All, Scope::Leaf(self.leaf())];
        scopes.into_iter().flat_map(move |scope| periods.into_iter().flatten().map(move |period| (scope, period)))
    }
}

/// Returns the minute since the epoch that `time` is in.
fn minute_of(time: Timestamp) -> i64 {
    time.as_micros().div_euclid(MICROS_A_MINUTE)
}

/// Returns how the tallies change when a run that was `old` is `new`; one that is missing is none.
pub fn delta(old: Option<&TalliedRun>, new: Option<&TalliedRun>) -> Tallies {
    let mut delta = Tallies::default();
    if old == new {
        return delta;
    }
    let counted = |run: &TalliedRun| (run.cell(), run.sums());
    if let Some((run, (cell, sums))) = old.map(|run| (run, counted(run))) {
        run.buckets().for_each(|(scope, period)| delta.add(scope, period, cell.clone(), -sums));
    }
    if let Some((run, (cell, sums))) = new.map(|run| (run, counted(run))) {
        run.buckets().for_each(|(scope, period)| delta.add(scope, period, cell.clone(), sums));
    }
    delta
}

impl Tallies {
    /// Adds `sums` to a cell of a bucket; one that comes to nothing is gone.
    pub fn add(&mut self, scope: Scope, period: Period, cell: Cell, sums: Sums) {
        add(&mut self.0, (scope, period, cell), sums);
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: Self) {
        for (key, sums) in other.0 {
            add(&mut self.0, key, sums);
        }
    }

    /// Returns the cells that change, or that there are, with their buckets, in the order of these.
    pub fn iter(&self) -> impl Iterator<Item = (Scope, Period, &Cell, Sums)> {
        self.0.iter().map(|((scope, period, cell), sums)| (*scope, *period, cell, *sums))
    }
}

/// Adds `sums` under `key`; what comes to nothing is gone.
pub fn add<K: Ord>(tally: &mut BTreeMap<K, Sums>, key: K, sums: Sums) {
    use std::collections::btree_map::Entry;
    match tally.entry(key) {
        Entry::Vacant(_) if sums.are_nothing() => {}
        Entry::Vacant(entry) => drop(entry.insert(sums)),
        Entry::Occupied(mut entry) => {
            let together = entry.get().plus(sums);
            if together.are_nothing() {
                entry.remove();
            } else {
                entry.insert(together);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, option, prelude::*, sample::select};
    use uuid::Uuid;

    use super::*;

    const TYPES: [StateType; 4] =
        [StateType::Scheduled, StateType::Running, StateType::Completed, StateType::Cancelling];

    fn time() -> impl Strategy<Value = Option<Timestamp>> {
        // Around the epoch, where a division that rounds to zero differs.
        option::of((-400_000_000i64..400_000_000).prop_map(Timestamp::nearest_to_micros))
    }

    prop_compose! {
        fn run()(
            (flow, deployment, queue) in (0u128..2, option::of(0u128..2), option::of(0u128..2)),
            parent in option::of(Just(TaskRunId(Uuid::from_u128(9)))),
            state in option::of((select(TYPES.to_vec()), option::of(select(vec!["Late", "a|b", ""])))),
            (expected, start, run_time) in (time(), time(), 0i64..9_000_000),
        ) -> TalliedRun {
            TalliedRun {
                flow_id: FlowId(Uuid::from_u128(flow)),
                deployment_id: deployment.map(|id| DeploymentId(Uuid::from_u128(id))),
                work_queue_id: queue.map(|id| WorkQueueId(Uuid::from_u128(id))),
                parent_task_run_id: parent,
                state_type: state.map(|(kind, _)| kind),
                state_name: state.and_then(|(_, name)| name).map(ToOwned::to_owned),
                expected_start_time: expected,
                start_time: start,
                total_run_time: Seconds::from_micros(run_time),
            }
        }
    }

    fn counted<'r>(runs: impl IntoIterator<Item = &'r TalliedRun>) -> Tallies {
        let mut tallies = Tallies::default();
        for run in runs {
            for (scope, period) in run.buckets() {
                tallies.add(scope, period, run.cell(), run.sums());
            }
        }
        tallies
    }

    proptest! {
        #[test]
        fn changes_in_any_order_come_to_what_counting_gives(
            changes in vec((0usize..5, option::weighted(0.8, run())), 1..40),
            order in Just((0..40).collect::<Vec<usize>>()).prop_shuffle(),
        ) {
            let mut runs: [Option<TalliedRun>; 5] = Default::default();
            let mut deltas = Vec::new();
            for (place, after) in changes {
                deltas.push(delta(runs[place].as_ref(), after.as_ref()));
                runs[place] = after;
            }
            let mut tallies = Tallies::default();
            for place in order {
                tallies.merge(deltas.get(place).cloned().unwrap_or_default());
            }
            prop_assert_eq!(&tallies, &counted(runs.iter().flatten()));
            for run in runs.iter().flatten() {
                tallies.merge(delta(Some(run), None));
            }
            prop_assert_eq!(tallies, Tallies::default());
        }

        #[test]
        fn a_cell_is_read_as_it_was_written(run in run()) {
            let cell = run.cell();
            prop_assert_eq!(cell.to_string().parse(), Ok(cell));
        }
    }

    #[test]
    fn what_is_no_cell_is_told_so() {
        for wrong in ["", "RUNNING", "DONE|000|", "|00|", "|002|", "|0000|"] {
            assert_eq!(wrong.parse::<Cell>(), Err(NotACell), "{wrong}");
        }
    }

    #[test]
    fn a_run_that_is_the_same_changes_nothing() {
        let run = TalliedRun::from(&FlowRun::new(crate::model::FlowRunId::new(), FlowId::new(), "a", Timestamp::now()));
        assert_eq!(delta(Some(&run), Some(&run)), Tallies::default());
        assert_eq!(delta(None, Some(&run)).iter().count(), 2, "it is expected at no time");
    }
}
