//! Flow runs that have not started: where they stand, and how a range of runs by start time finds them.
//!
//! A run has its places by start time from its start on. Until then it is found where it stands anyway, in the order of
//! the same time: one that is scheduled by its next start, which is the expected one, and one that is pending by its state.
//! So what starts gets a place in each of these indexes, and none of them is moved.
//!
//! A run that has a place by start time of its own while it waits, since it has started once or was put off, has
//! a [mark](placed) in its other places. So the keys of the indexes tell which of their entries are all that there is.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize, de::IgnoredAny};

use super::{
    Item, Key, Store,
    query::{Range, Wanted},
    table::{self, Collection, Index, Projection, Shards},
};
use domain::model::{FlowRun, StateType};
use error::Result;

/// What indexes a range by start time reads besides its own.
pub(super) const UNSTARTED: &[Index] =
    &[Index::ByNextStart, Index::WaitingOfDeployment, Index::WaitingInQueue, Index::ByState];

/// What stands behind the id in the sort key of a run that has a place by start time besides.
pub(crate) const PLACED: char = '#';

/// Makes the sort key of a run's place say that it has one by start time besides.
pub(super) fn placed(sort_key: &str) -> String {
    format!("{sort_key}{PLACED}")
}

fn is_placed(sort_key: &str) -> bool {
    sort_key.ends_with(PLACED)
}

/// Returns the index whose sort key tells when a run is to start that has none in `index`.
pub(super) fn stands_in(index: Index) -> Option<Index> {
    (index == Index::ByStart).then_some(Index::ByNextStart)
}

/// Returns the type of its state if a run has no place by start time.
pub(super) fn waits_in(run: &FlowRun) -> Option<StateType> {
    let expected = run.expected_start_time.filter(|_| run.start_time.is_none() && run.end_time.is_none())?;
    run.state_type.filter(|state_type| match state_type {
        StateType::Scheduled => run.next_scheduled_start_time == Some(expected),
        StateType::Pending => true,
        _ => false,
    })
}

/// Gives a flow run, whose `head` this is, the places that it has, where an older version gave it all of them by start time.
///
/// One that can't be read keeps what it had.
pub fn place_anew(keys: &mut BTreeMap<String, String>, head: &str) {
    #[derive(Default, Deserialize)]
    struct Head {
        state_type: Option<StateType>,
        start_time: Option<IgnoredAny>,
        end_time: Option<IgnoredAny>,
    }
    let Head { state_type, start_time, end_time } = serde_json::from_str(head).unwrap_or_default();
    let mut all = keys.get(&Index::ByTime.partition()).cloned();
    let expected = keys.get(&Index::ByTime.sort()).filter(|key| table::time_of(key).is_some()).cloned();
    let expected = expected.filter(|_| start_time.is_none() && end_time.is_none());
    let next = keys.get(&Index::ByNextStart.sort()).cloned();
    let is_scheduled = state_type == Some(StateType::Scheduled) && expected.is_some() && next == expected;
    let is_pending = state_type == Some(StateType::Pending) && expected.is_some();
    if is_scheduled || is_pending {
        let by_start = [Index::ByStart, Index::ByDeployment, Index::ByWorkQueue].map(Index::partition);
        let by_state = [Index::ByState.partition(), Index::ByState.sort()];
        keys.retain(|key, _| !(by_start.contains(key) || is_scheduled && by_state.contains(key)));
        all = None;
    }
    keys.extend(all.map(|all| (Index::ByStart.partition(), all)));
    let is_beside =
        [(Index::ByNextStart, !is_scheduled), (Index::ByState, state_type == Some(StateType::Pending) && !is_pending)];
    for (index, _) in is_beside.into_iter().filter(|(_, is_beside)| *is_beside) {
        if let Some(key) = keys.get_mut(&index.sort()).filter(|key| !is_placed(key)) {
            key.push(PLACED);
        }
    }
}

/// Which of the runs of a range are read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    /// All that belong there, wherever they stand.
    #[default]
    Anywhere,
    /// Those that have a place there.
    Here,
    /// Those that have a place there, and none by start time.
    Unstarted,
    /// Of these, those in some groups of another index.
    UnstartedIn(Index, Vec<String>),
}

impl Standing {
    /// Says whether a range is one of runs that have not started, so that what is read out tells which of them are meant.
    pub(super) fn is_of_unstarted(&self) -> bool {
        matches!(self, Self::Unstarted | Self::UnstartedIn(..))
    }
}

/// Returns the group that a run is in, of those that `index` has.
fn group_of(run: &FlowRun, index: Index) -> Option<String> {
    match index {
        Index::ByDeployment => run.deployment_id.map(table::runs_of_deployment),
        Index::ByWorkQueue => run.work_queue_id.map(table::runs_of_work_queue),
        _ => None,
    }
}

/// Returns the text in the `head` of the runs of a group of `index`.
fn text_of_group(index: Index, group: &str) -> Option<String> {
    let field = match index {
        Index::ByDeployment => "deployment_id",
        Index::ByWorkQueue => "work_queue_id",
        _ => return None,
    };
    let (_, id) = group.split_once('#')?;
    Some(format!("\"{field}\":\"{id}\""))
}

/// Returns the groups whose shards are among `partitions`.
fn groups_of(partitions: &[String]) -> Vec<String> {
    let groups = partitions.iter().filter_map(|partition| partition.rsplit_once('#'));
    groups.map(|(group, _)| group.to_owned()).collect::<BTreeSet<_>>().into_iter().collect()
}

impl Store {
    /// Returns the ranges in which all runs stand that belong to `range`, its own first; another range alone.
    pub(super) fn parts_of(&self, range: Range) -> Vec<Range> {
        let Some(index) = range.index.filter(|_| range.standing == Standing::Anywhere) else { return vec![range] };
        let elsewhere = elsewhere(self.shards(), index, &range.partitions);
        // As most ranges are; each read comes by here.
        if elsewhere.is_empty() {
            return vec![Range { standing: Standing::Here, ..range }];
        }
        let wanted = match self.carried(&range) {
            Projection::All | Projection::Fetched => Wanted::Record,
            Projection::Orders => Wanted::Orders,
            Projection::Head | Projection::Keys => range.wanted,
        };
        let part = |(index, partitions, standing)| {
            let mut part = Range { index: Some(index), partitions, wanted, standing, ..range.clone() };
            if let (Standing::UnstartedIn(index, groups), true) = (&part.standing, self.looks_into_rows()) {
                part.texts.push(groups.iter().filter_map(|group| text_of_group(*index, group)).collect());
            }
            part
        };
        let unstarted: Vec<Range> = elsewhere.into_iter().map(part).collect();
        std::iter::once(Range { standing: Standing::Here, ..range }).chain(unstarted).collect()
    }

    /// Returns those items of a page of `range` that are [standing](Standing) there as it asks, sorted by what `sort` has.
    pub(super) async fn standing(&self, range: &Range, mut items: Vec<Item>, sort: Option<&str>) -> Result<Vec<Item>> {
        let Some(index) = range.index.filter(|_| range.standing.is_of_unstarted()) else { return Ok(items) };
        let own = index.sort();
        items.retain(|item| item.index_keys.get(&own).is_some_and(|key| !is_placed(key)));
        if let Some(sort) = sort.filter(|sort| *sort != own) {
            for item in &mut items {
                let key = item.index_keys.get(&own).cloned();
                item.index_keys.extend(key.map(|key| (sort.to_owned(), key)));
            }
        }
        match &range.standing {
            Standing::UnstartedIn(index, groups) if !self.looks_into_rows() => {
                self.in_groups(items, self.carried(range), *index, groups).await
            }
            _ => Ok(items),
        }
    }

    /// Returns those of `items` that are in one of the groups of `index`.
    async fn in_groups(
        &self,
        mut items: Vec<Item>,
        projection: Projection,
        index: Index,
        groups: &[String],
    ) -> Result<Vec<Item>> {
        let is_in = |item: &Item| {
            let group = item.readable::<FlowRun>().and_then(|run| group_of(&run, index));
            group.is_some_and(|group| groups.contains(&group))
        };
        if matches!(projection, Projection::All | Projection::Fetched) {
            items.retain(is_in);
            return Ok(items);
        }
        let keys: Vec<Key> = items.iter().map(|item| item.key.clone()).collect();
        let whole = self.get_items(&keys).await?;
        let whole: HashMap<&Key, &Item> = whole.iter().map(|item| (&item.key, item)).collect();
        items.retain(|item| whole.get(&item.key).is_some_and(|item| is_in(item)));
        Ok(items)
    }
}

/// Returns where the runs stand that have not started, of those that are in `partitions` of `index` once they have.
fn elsewhere(shards: Shards, index: Index, partitions: &[String]) -> Vec<(Index, Vec<String>, Standing)> {
    let pending = table::runs_in_state(StateType::Pending);
    let in_groups = |waiting: Index| {
        let groups = groups_of(partitions);
        let of_waiting = shards.of_groups_in(waiting);
        let waiting_in = groups.iter().flat_map(|group| of_waiting.all_within(group)).collect();
        let pending_in = shards.of_groups_in(Index::ByState).all_within(&pending);
        vec![
            (waiting, waiting_in, Standing::Unstarted),
            (Index::ByState, pending_in, Standing::UnstartedIn(index, groups)),
        ]
    };
    match index {
        Index::ByStart => {
            let shard_of = |partition: &String| Some(format!("{pending}#{}", partition.rsplit_once('#')?.1));
            let pending_in = partitions.iter().filter_map(shard_of).collect();
            vec![
                (Index::ByNextStart, partitions.to_vec(), Standing::Unstarted),
                (Index::ByState, pending_in, Standing::Unstarted),
            ]
        }
        Index::ByDeployment => in_groups(Index::WaitingOfDeployment),
        Index::ByWorkQueue => in_groups(Index::WaitingInQueue),
        Index::ByState if groups_of(partitions).contains(&table::runs_in_state(StateType::Scheduled)) => {
            vec![(Index::ByNextStart, shards.all(Collection::FlowRuns), Standing::Unstarted)]
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use domain::model::{DeploymentId, FlowId, FlowRunId, Timestamp, WorkQueueId};
    use serde_json::json;

    use super::*;
    use crate::Record;

    const SHARDS: Shards = Shards(3);

    fn run(state_type: StateType, expected: f64, next: Option<f64>, start: Option<f64>) -> FlowRun {
        let at = |seconds| "2026-01-31T09:30:00Z".parse::<Timestamp>().unwrap().plus_seconds(seconds);
        let mut run: FlowRun = serde_json::from_value(json!({
            "id": FlowRunId::new(), "created": at(0.0), "updated": at(0.0), "name": "a run", "flow_id": FlowId::new(),
            "deployment_id": DeploymentId::new(), "work_queue_id": WorkQueueId::new(),
        }))
        .unwrap();
        run.state_type = Some(state_type);
        run.expected_start_time = Some(at(expected));
        (run.next_scheduled_start_time, run.start_time) = (next.map(at), start.map(at));
        run
    }

    fn indexes(run: &FlowRun) -> Vec<Index> {
        let by_start = [Index::ByStart, Index::ByDeployment, Index::ByWorkQueue, Index::ByState, Index::ByNextStart];
        let keys = run.index_keys(SHARDS);
        by_start.into_iter().filter(|index| keys.iter().any(|key| key.index == *index)).collect()
    }

    #[test]
    fn a_run_gets_its_places_by_start_time_when_it_starts() {
        use StateType::{Cancelled, Pending, Running, Scheduled};
        let started = [Index::ByStart, Index::ByDeployment, Index::ByWorkQueue, Index::ByState];
        let all = [started.as_slice(), &[Index::ByNextStart]].concat();
        let table: [(FlowRun, &[Index]); 7] = [
            (run(Scheduled, 9.0, Some(9.0), None), &[Index::ByNextStart]),
            (run(Pending, 9.0, None, None), &[Index::ByState]),
            (run(Running, 9.0, None, Some(10.0)), &started),
            (run(Scheduled, 9.0, Some(30.0), None), &all),
            (run(Scheduled, 9.0, Some(30.0), Some(10.0)), &all),
            (run(Pending, 9.0, None, Some(10.0)), &started),
            (run(Cancelled, 9.0, None, None), &started),
        ];
        for (run, expected) in table {
            assert_eq!(indexes(&run), expected, "{run:?}");
        }
    }

    #[test]
    fn a_mark_says_that_there_is_another_place() {
        let is_placed_in = |run: &FlowRun, index: Index| {
            let keys = run.index_keys(SHARDS);
            let key = keys.iter().find(|key| key.index == index).unwrap();
            assert!(table::time_of(&key.sk).is_some());
            is_placed(&key.sk)
        };
        for index in [Index::ByNextStart, Index::WaitingInQueue, Index::WaitingOfDeployment] {
            assert!(!is_placed_in(&run(StateType::Scheduled, 9.0, Some(9.0), None), index));
            assert!(is_placed_in(&run(StateType::Scheduled, 9.0, Some(30.0), None), index));
            assert!(is_placed_in(&run(StateType::Scheduled, 9.0, Some(9.0), Some(8.0)), index));
        }
        assert!(!is_placed_in(&run(StateType::Pending, 9.0, None, None), Index::ByState));
        assert!(is_placed_in(&run(StateType::Pending, 9.0, None, Some(10.0)), Index::ByState));
        assert!(!is_placed_in(&run(StateType::Running, 9.0, None, Some(10.0)), Index::ByState));
    }

    /// Returns the places that the version before gave a run.
    fn places_before(run: &FlowRun) -> BTreeMap<String, String> {
        let mut keys = table::attributes(run.index_keys(SHARDS)).unwrap();
        let sort = |time| table::sort_with_id(&table::time_or_null(time), run.id);
        keys.insert(Index::ByStart.sort(), sort(run.start_time.or(run.expected_start_time)));
        keys.remove(&Index::ByStart.partition());
        if run.next_scheduled_start_time.is_some() {
            keys.insert(Index::ByNextStart.sort(), sort(run.next_scheduled_start_time));
        }
        let groups = [
            (Index::ByDeployment, table::runs_of_deployment(run.deployment_id.unwrap())),
            (Index::ByWorkQueue, table::runs_of_work_queue(run.work_queue_id.unwrap())),
            (Index::ByState, table::runs_in_state(run.state_type.unwrap())),
        ];
        keys.extend(groups.map(|(index, group)| (index.partition(), SHARDS.within(&group, run.id.0))));
        keys
    }

    #[test]
    fn what_an_older_version_placed_is_placed_anew() {
        use StateType::{Cancelled, Pending, Running, Scheduled};
        for state_type in [Scheduled, Pending, Running, Cancelled] {
            for next in [None, Some(9.0), Some(30.0)] {
                for start in [None, Some(10.0)] {
                    let run = run(state_type, 9.0, next, start);
                    let item = Item::of(&run, 1, SHARDS).unwrap();
                    let mut keys = places_before(&run);
                    place_anew(&mut keys, item.head.as_deref().unwrap());
                    assert_eq!(keys, item.index_keys, "{run:?}");
                    place_anew(&mut keys, item.head.as_deref().unwrap());
                    assert_eq!(keys, item.index_keys, "a second time: {run:?}");
                }
            }
        }
    }
}
