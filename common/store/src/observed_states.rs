//! Which types and names of states there are in the histories of all runs, kept as the histories change.
//!
//! An item for each type and name says which state was entered first and which last, and where those two are. It changes
//! when a state is earlier or later than both, or when one of the two is deleted: then the index of all states of the type
//! and name tells which is the first or last of those that are left. Nothing is counted, so whatever the stream repeats
//! changes nothing.
//!
//! States with the usual names, which every run has, are not in that index: it would cost a write unit for each of them.
//! Such a name stays known, with the times that were seen, when one of its bounds is deleted.

use std::collections::HashSet;

use domain::{
    filter::observed_state::{ObservedStateSort, StatePrefix},
    model::{FlowRun, ObservedState, State, StateType, Timestamp, is_usual_name},
};
use error::{Error, Result};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    CommitError, Item, Key, Record, Store, TableAccess, Write,
    commit::retry_on_conflict,
    cost,
    entity::Each,
    query::{Direction, Range},
    select::{Matcher, Source, Window},
    states::{HistoricState, states_within},
    table::{self, Collection, Index, IndexKey, Shards, Subject},
};

/// How many entries of the index are read at once to find one whose state is there.
const PAGE: usize = 16;

/// How many entries of the index are passed over whose states are gone: it lags that far behind when very many are deleted.
const MOST_GONE: usize = 1_000;

/// A type and name that states have, with the two states that bound it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredObservedState {
    /// The type and name, and when it was seen.
    #[serde(flatten)]
    pub observed: ObservedState,
    /// The state that was entered first.
    first: Key,
    /// The state that was entered last.
    last: Key,
}

crate::json_record!(StoredObservedState);

impl Record for StoredObservedState {
    const HEAD: &'static [&'static str] = &["state_type", "state_name", "first_seen", "last_seen"];

    fn key(&self) -> Key {
        table::observed_state(self.observed.state_type, &self.observed.state_name)
    }

    fn index_keys(&self, shards: Shards) -> Vec<IndexKey> {
        let ObservedState { state_type, state_name, last_seen, .. } = &self.observed;
        let id = Uuid::new_v5(&Uuid::NAMESPACE_OID, self.key().pk.as_bytes());
        let pk = shards.of(Collection::ObservedStates, id);
        let by_name = format!("{}\u{1}{state_name}", state_type.as_str());
        let by_time = format!("{}\u{1}{by_name}", minute_of(&latest_first(*last_seen)));
        vec![
            IndexKey { index: Index::ByName, pk: pk.clone(), sk: table::sort_with_id(&by_name, id) },
            IndexKey { index: Index::Lookup, pk, sk: table::sort_with_id(&by_time, id) },
        ]
    }
}

/// Writes a time so that text order is from the last to the first.
fn latest_first(time: Timestamp) -> String {
    let complement = |letter: char| match letter.to_digit(10) {
        Some(digit) => char::from_digit(9 - digit, 10).unwrap_or(letter),
        None => letter,
    };
    time.sortable().chars().map(complement).collect()
}

/// Returns what a time written by [`latest_first`] begins with up to its minute.
///
/// Types and names are in order by the minute alone, so that the many that are seen many times in one don't move in the
/// index each time, which is paid for.
fn minute_of(time: &str) -> &str {
    time.get(..MINUTE).unwrap_or(time)
}

/// How long a time is without its seconds.
const MINUTE: usize = "2026-01-31T09:30".len();

/// A state in the history of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// The type of the state.
    pub state_type: StateType,
    /// The state's name.
    pub state_name: String,
    /// When it was entered.
    pub at: Timestamp,
    /// The state's key.
    pub state: Key,
}

impl Sighting {
    /// Returns the states that an item holds: that of a state, or a run's that are kept nowhere else.
    ///
    /// What can't be read is logged.
    pub fn of(item: &Item) -> Vec<Self> {
        match Subject::of(&item.key) {
            Some(Subject::FlowRun(_) | Subject::TaskRun(_)) => {
                let at = |state: State| Self::new(table::state(&item.key, state.timestamp, state.id), state);
                states_within(item).into_iter().map(at).collect()
            }
            Some(Subject::FlowRunState | Subject::TaskRunState) => {
                let state = item.readable::<HistoricState>();
                state.map(|found| Self::new(item.key.clone(), found.state)).into_iter().collect()
            }
            _ => Vec::new(),
        }
    }

    /// Returns the states that were entered when an item was written that was `before`: that of a state, or a run's
    /// that are kept nowhere else.
    pub fn entered(before: Option<&Item>, after: &Item) -> Vec<Self> {
        match Subject::of(&after.key) {
            // Reports of the states of a task run come late, and several at once.
            Some(Subject::TaskRun(_)) => {
                let known = before.map(Self::of).unwrap_or_default();
                Self::of(after).into_iter().filter(|seen| !known.contains(seen)).collect()
            }
            // What is not announced is no new state of a run.
            _ if before.is_some() && !after.is_announced() => Vec::new(),
            Some(Subject::FlowRun(_)) => {
                let run = after.readable::<FlowRun>().filter(|run| !run.past.has_current_apart());
                let state = run.and_then(|run| run.state);
                let at = |state: State| Self::new(table::state(&after.key, state.timestamp, state.id), state);
                state.map(at).into_iter().collect()
            }
            _ => Self::of(after),
        }
    }

    fn new(key: Key, state: State) -> Self {
        Self { state_type: state.r#type, state_name: state.name, at: state.timestamp, state: key }
    }
}

impl StoredObservedState {
    fn new(first: &Sighting, last: &Sighting) -> Self {
        let observed = ObservedState {
            state_type: first.state_type,
            state_name: first.state_name.clone(),
            first_seen: first.at,
            last_seen: last.at,
        };
        Self { observed, first: first.state.clone(), last: last.state.clone() }
    }

    /// Tells whether only one state has ever counted.
    fn is_of_one_state(&self) -> bool {
        self.first == self.last
    }

    /// Lets the state count too.
    fn include(&mut self, seen: &Sighting) {
        if seen.at < self.observed.first_seen {
            (self.observed.first_seen, self.first) = (seen.at, seen.state.clone());
        }
        if seen.at > self.observed.last_seen {
            (self.observed.last_seen, self.last) = (seen.at, seen.state.clone());
        }
    }
}

/// Returns the minute that an entry of the index stands at.
fn minute_in<'i>(item: &'i Item, sort: &str) -> &'i str {
    item.index_keys.get(sort).map_or("", |key| minute_of(key))
}

/// What [`Store::observed_states`] touches.
pub const READ: TableAccess = TableAccess::READS.via(&[Index::ByName, Index::Lookup]);

impl Store {
    /// Returns the observed states whose type or name begins with `prefix`, in the order of `sort`, `limit` at most.
    pub async fn observed_states(
        &self,
        prefix: Option<&StatePrefix>,
        sort: ObservedStateSort,
        limit: usize,
    ) -> Result<Vec<ObservedState>> {
        let range = |index| Range::all(self, index, Collection::ObservedStates);
        let matches = prefix.map(|prefix| move |stored: &StoredObservedState| prefix.matches(&stored.observed));
        let compare = |a: &StoredObservedState, b: &StoredObservedState| sort.compare(&a.observed, &b.observed);
        let found = match sort {
            ObservedStateSort::NameAsc => {
                let source = Source::Ordered(range(Index::ByName));
                self.select(source, &mut Each(matches), compare, Window { offset: 0, limit }).await?
            }
            ObservedStateSort::LastSeenDesc => {
                let mut found = self.seen_last(range(Index::Lookup), &mut Each(matches), limit).await?;
                found.sort_by(compare);
                found.truncate(limit);
                cost::add_returned(found.len());
                found
            }
        };
        Ok(found.into_iter().map(|stored| stored.observed).collect())
    }

    /// Reads those that were seen last, `limit` of them if there are so many, and all others of the minute of the last one.
    async fn seen_last(
        &self,
        range: Range,
        matcher: &mut impl Matcher<StoredObservedState>,
        limit: usize,
    ) -> Result<Vec<StoredObservedState>> {
        let (mut found, mut minute) = (Vec::new(), String::new());
        let mut reader = self.read(range, limit);
        let sort = Index::Lookup.sort();
        while let Some(items) = reader.more().await? {
            for of_minute in items.chunk_by(|one, other| minute_in(one, &sort) == minute_in(other, &sort)) {
                let this = of_minute.first().map_or("", |item| minute_in(item, &sort));
                if found.len() >= limit && this != minute {
                    return Ok(found);
                }
                this.clone_into(&mut minute);
                let keys: Vec<Key> = of_minute.iter().map(|item| item.key.clone()).collect();
                let records = self.get_many::<StoredObservedState>(&keys).await?;
                let records = records.into_iter().map(|stored| stored.record).collect();
                found.extend(matcher.keep(self, records).await?);
            }
        }
        Ok(found)
    }

    /// Lets states count that were entered, all of one type and name; they may have counted before.
    pub async fn observe(&self, seen: &[Sighting]) -> Result<()> {
        let Some((one, _)) = seen.split_first() else { return Ok(()) };
        let key = table::observed_state(one.state_type, &one.state_name);
        retry_on_conflict(|| async {
            let found = self.get::<StoredObservedState>(&key).await?;
            let mut after =
                found.as_ref().map_or_else(|| StoredObservedState::new(one, one), |found| found.record.clone());
            for seen in seen {
                after.include(seen);
            }
            let write = match found {
                Some(found) if found.record == after => return Ok(()),
                Some(found) => self.replace(&after, found.version)?,
                None => Write::Insert(Item::of(&after, 1, self.shards())?),
            };
            self.commit(vec![write]).await
        })
        .await
    }

    /// Tells whether one of the states `gone`, all of one type and name, was the first or last of them.
    pub async fn bounds_observed_state(&self, gone: &[Sighting]) -> Result<bool> {
        let Some(one) = gone.first() else { return Ok(false) };
        let found = self.get::<StoredObservedState>(&table::observed_state(one.state_type, &one.state_name)).await?;
        let gone: HashSet<&Key> = gone.iter().map(|gone| &gone.state).collect();
        Ok(found.is_some_and(|found| gone.contains(&found.record.first) || gone.contains(&found.record.last)))
    }

    /// Finds out anew which states of a type and name are the first and the last, and forgets it if there are none; tells
    /// whether others are than before.
    ///
    /// The bounds that are stored are kept while their states are there, so that an index that lags loses nothing.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the index lags far behind.
    pub async fn look_for_observed_state(&self, state_type: StateType, state_name: &str) -> Result<bool> {
        let key = table::observed_state(state_type, state_name);
        retry_on_conflict(|| async {
            let found = self.get::<StoredObservedState>(&key).await?;
            let bounds = match &found {
                Some(found) => self.sightings(&[found.record.first.clone(), found.record.last.clone()]).await?,
                None => Vec::new(),
            };
            if is_usual_name(state_type, state_name) {
                let Some(found) = found.filter(|found| bounds.is_empty() && found.record.is_of_one_state()) else {
                    return Ok(false);
                };
                self.commit(vec![Write::DeleteVersion(key.clone(), found.version)]).await?;
                return Ok(true);
            }
            let [first, last] = [Direction::Ascending, Direction::Descending]
                .map(|direction| self.end_of_states(state_type, state_name, direction));
            let (first, last) = futures::try_join!(first, last)?;
            let mut there: Vec<Sighting> = bounds.into_iter().chain(first).chain(last).collect();
            // Those that are stored come first among equals, so that nothing is written without need.
            there.sort_by_key(|seen| seen.at);
            let write = match (there.first(), found) {
                (None, None) => return Ok::<bool, CommitError>(false),
                (None, Some(found)) => Write::DeleteVersion(key.clone(), found.version),
                (Some(first), found) => {
                    let mut after = StoredObservedState::new(first, first);
                    for seen in &there {
                        after.include(seen);
                    }
                    match found {
                        Some(found) if found.record == after => return Ok(false),
                        Some(found) => self.replace(&after, found.version)?,
                        None => Write::Insert(Item::of(&after, 1, self.shards())?),
                    }
                }
            };
            self.commit(vec![write]).await?;
            Ok(true)
        })
        .await
    }

    /// Finds the first state of a type and name in a direction, of those that the index tells of and that are there.
    async fn end_of_states(
        &self,
        state_type: StateType,
        state_name: &str,
        direction: Direction,
    ) -> Result<Option<Sighting>> {
        let all = Range::group(self, Index::ByName, &table::states_called(state_type, state_name));
        let mut reader = self.read(all.in_direction(direction), PAGE);
        let mut gone = 0;
        while let Some(page) = reader.more().await? {
            let keys: Vec<Key> = page.into_iter().map(|item| item.key).collect();
            let found = self.sightings(&keys).await?;
            if let Some(first) = keys.iter().find_map(|key| found.iter().find(|seen| seen.state == *key)) {
                return Ok(Some(first.clone()));
            }
            gone += keys.len();
            if gone > MOST_GONE {
                return Err(Error::Unavailable("the index of states lags far behind".into()));
            }
        }
        Ok(None)
    }

    /// Reads those of the states under `keys` that are there, by themselves or in their runs.
    async fn sightings(&self, keys: &[Key]) -> Result<Vec<Sighting>> {
        let mut found: Vec<Sighting> = self.get_items(keys).await?.iter().flat_map(Sighting::of).collect();
        let is_missing = |key: &&Key| found.iter().all(|seen| seen.state != **key);
        let runs: Vec<Key> = keys.iter().filter(is_missing).filter_map(table::run_of_state).collect();
        if !runs.is_empty() {
            let within: Vec<Sighting> = self.get_items(&runs).await?.iter().flat_map(Sighting::of).collect();
            found.extend(within.into_iter().filter(|seen| keys.contains(&seen.state)));
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use embedded::EmbeddedDatabase;

    use super::*;
    use domain::model::{FlowRunId, State, StateId};

    async fn store() -> Store {
        let config = EmbeddedDatabase::in_memory().unwrap().sdk_config();
        let store = Store::new(aws_sdk_dynamodb::Client::from_conf(config), "proctor-records", Shards(3));
        store.create_table().await.unwrap();
        store
    }

    /// Writes a state of a run of its own, `seconds` after `start`.
    async fn enter(store: &Store, name: &str, start: Timestamp, seconds: f64) -> Sighting {
        let mut state = State::new(StateId::new(), StateType::Completed, start.plus_seconds(seconds));
        state.name = name.to_owned();
        let run = table::flow_run(FlowRunId::new());
        store.commit(vec![store.put_state(run.clone(), &state, None).unwrap()]).await.unwrap();
        let key = table::state(&run, state.timestamp, state.id);
        Sighting::entered(None, &store.get_item(&key).await.unwrap().unwrap()).remove(0)
    }

    async fn observed(store: &Store) -> Vec<(String, f64, f64)> {
        let found = store.observed_states(None, ObservedStateSort::NameAsc, 200).await.unwrap();
        let start = found.iter().map(|state| state.first_seen).min().unwrap_or(Timestamp::now());
        let since = |time: Timestamp| time.seconds_since(start);
        found.into_iter().map(|state| (state.state_name, since(state.first_seen), since(state.last_seen))).collect()
    }

    #[tokio::test]
    async fn is_bounded_by_the_states_that_there_are() {
        let (store, start) = (store().await, Timestamp::now());
        let mut seen = Vec::new();
        for seconds in [5.0, 0.0, 9.0, 7.0] {
            seen.push(enter(&store, "Done", start, seconds).await);
        }
        for _ in 0..2 {
            store.observe(&seen[..2]).await.unwrap();
            store.observe(&seen[2..]).await.unwrap();
        }
        let done = |first, last| vec![("Done".to_owned(), first, last)];
        assert_eq!(observed(&store).await, done(0.0, 9.0));

        // What is in between bounds nothing.
        let delete = |seen: &Sighting| vec![Write::Delete(seen.state.clone())];
        store.commit(delete(&seen[3])).await.unwrap();
        assert!(!store.bounds_observed_state(&seen[3..]).await.unwrap());
        store.commit(delete(&seen[2])).await.unwrap();
        assert!(store.bounds_observed_state(&seen[2..]).await.unwrap());
        for _ in 0..2 {
            store.look_for_observed_state(StateType::Completed, "Done").await.unwrap();
            assert_eq!(observed(&store).await, done(0.0, 5.0));
        }
        store.commit(delete(&seen[0])).await.unwrap();
        store.commit(delete(&seen[1])).await.unwrap();
        for _ in 0..2 {
            store.look_for_observed_state(StateType::Completed, "Done").await.unwrap();
            assert_eq!(observed(&store).await, []);
        }
    }

    #[tokio::test]
    async fn a_usual_name_stays_known() {
        let (store, start) = (store().await, Timestamp::now());
        let look = || store.look_for_observed_state(StateType::Completed, "Completed");
        let early = enter(&store, "Completed", start, 0.0).await;
        let by_name = Index::ByName.sort();
        assert!(!store.get_item(&early.state).await.unwrap().unwrap().index_keys.contains_key(&by_name));
        store.observe(std::slice::from_ref(&early)).await.unwrap();
        assert!(!look().await.unwrap());
        store.commit(vec![Write::Delete(early.state.clone())]).await.unwrap();
        assert!(look().await.unwrap());
        assert_eq!(observed(&store).await, [], "it was the only one");

        let both = [enter(&store, "Completed", start, 0.0).await, enter(&store, "Completed", start, 9.0).await];
        store.observe(&both).await.unwrap();
        for seen in &both {
            store.commit(vec![Write::Delete(seen.state.clone())]).await.unwrap();
            assert!(!look().await.unwrap());
        }
        assert_eq!(observed(&store).await, [("Completed".to_owned(), 0.0, 9.0)]);
    }

    #[tokio::test]
    async fn what_the_index_has_not_told_of_stays() {
        let (store, start) = (store().await, Timestamp::now());
        let (early, late) = (enter(&store, "Done", start, 0.0).await, enter(&store, "Done", start, 9.0).await);
        store.observe(&[early.clone(), late.clone()]).await.unwrap();
        // The state is there, and has no place in the index.
        let mut item = store.get_item(&late.state).await.unwrap().unwrap();
        item.index_keys.clear();
        store.commit(vec![Write::Put(item)]).await.unwrap();
        store.look_for_observed_state(StateType::Completed, "Done").await.unwrap();
        assert_eq!(observed(&store).await, [("Done".to_owned(), 0.0, 9.0)]);
    }

    #[tokio::test]
    async fn is_sorted_and_searched() {
        let (store, start) = (store().await, Timestamp::now());
        let long = "n".repeat(3_000);
        for (name, seconds) in [("b", 1.0), ("a", 1.0), ("c", 2.0), (long.as_str(), 0.0)] {
            store.observe(&[enter(&store, name, start, seconds).await]).await.unwrap();
        }
        let names = |prefix: Option<&'static str>, sort, limit| {
            let store = &store;
            async move {
                let prefix = prefix.and_then(StatePrefix::new);
                let found = store.observed_states(prefix.as_ref(), sort, limit).await.unwrap();
                found.into_iter().map(|state| state.state_name).collect::<Vec<_>>()
            }
        };
        assert_eq!(names(None, ObservedStateSort::LastSeenDesc, 9).await, ["c", "a", "b", &long]);
        assert_eq!(names(None, ObservedStateSort::LastSeenDesc, 2).await, ["c", "a"]);
        assert_eq!(names(None, ObservedStateSort::NameAsc, 9).await, ["a", "b", "c", &long]);
        assert_eq!(names(Some("B"), ObservedStateSort::NameAsc, 9).await, ["b"]);
        assert_eq!(names(Some("comp"), ObservedStateSort::NameAsc, 9).await.len(), 4);
    }
}
