//! Tallies hold what counting all items gives, whatever was written, by whom and in which version.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{collections::BTreeMap, time::Duration};

use domain::model::{
    DeploymentId, FlowId, FlowRun, FlowRunId, ReceivedEvent, Seconds, State, StateId, StateType, Timestamp,
};
use futures::future::join_all;
use proptest::{collection::vec, option, prelude::*, sample::select};
use serde_json::json;
use sqlite::{Database, Mode};
use store::{
    CommitError, Item, Record, Shards, Write,
    backend::{Backend, Consistency},
    tallies::{Length, Sums, TallyRange},
};
use support::{InFile, insert};
use uuid::Uuid;

/// How many runs there are at most.
const RUNS: usize = 6;

const TYPES: [StateType; 3] = [StateType::Scheduled, StateType::Running, StateType::Completed];

fn micros(micros: i64) -> Timestamp {
    Timestamp::from_micros(1_700_000_000_000_000 + micros).unwrap()
}

/// Returns the run at a place, in a state and expected at a time.
fn run(place: usize, state: StateType, expected: Option<i64>, expires: bool) -> FlowRun {
    let id = FlowRunId(Uuid::from_u128(u128::try_from(place).unwrap() + 1));
    let mut run = FlowRun::new(id, FlowId(Uuid::from_u128(1)), format!("run {place}"), micros(0));
    run.deployment_id = place.is_multiple_of(2).then(|| DeploymentId(Uuid::from_u128(2)));
    run.expected_start_time = expected.map(micros);
    run.start_time = (state != StateType::Scheduled).then(|| micros(90_000_000));
    run.total_run_time = Seconds::from_micros(if expires { 3_500_000 } else { 0 });
    let entered = State::new(StateId::new(), state, micros(0));
    (run.state_type, run.state_name) = (Some(state), Some(entered.name.clone()));
    run.state = Some(entered);
    run
}

fn item(run: &FlowRun, version: u64, expires: bool) -> Item {
    Item { expires: expires.then_some(1), ..Item::of(run, version, Shards(1)).unwrap() }
}

/// Sums up all rows of one length.
async fn all(database: &Database, length: Length) -> BTreeMap<(Vec<u8>, String), Sums> {
    let range = TallyRange { length, scope: None, first: i64::MIN, last: i64::MAX, each: false };
    let sums = database.tallies(&[range]).await.unwrap().0.unwrap().sums;
    sums.into_iter().map(|(key, sums)| ((key.scope, key.cell), sums)).collect()
}

/// Says how many runs are counted, and that hours and minutes come to the same.
async fn counted(database: &Database) -> i64 {
    assert_eq!(database.check_tallies(false).await.unwrap(), 0);
    assert_eq!(all(database, Length::Hour).await, all(database, Length::Minute).await);
    let whole = all(database, Length::Whole).await;
    whole.iter().filter(|((scope, _), _)| scope.is_empty()).map(|(_, sums)| sums.runs).sum()
}

/// A write of the run at a place: a new content, or none.
type Wish = (usize, Option<(StateType, Option<i64>, bool)>);

fn wishes() -> impl Strategy<Value = Vec<Vec<Wish>>> {
    let content = (select(TYPES.to_vec()), option::of(0i64..9_000_000_000), any::<bool>());
    // Enough that some of them are folded.
    vec(vec((0..RUNS, option::weighted(0.7, content)), 1..8), 1..70)
}

/// Carries out a wish on the version that was read, which another one may have replaced meanwhile.
async fn carry_out(database: &Database, (place, content): Wish) {
    let key = run(place, StateType::Running, None, false).key();
    let found = database.get(&[&key], Consistency::Strong).await.unwrap().0.pop();
    let write = match (content, found) {
        (Some((state, expected, expires)), None) => {
            Write::Insert(item(&run(place, state, expected, expires), 1, expires))
        }
        (Some((state, expected, expires)), Some(found)) => {
            Write::Replace(item(&run(place, state, expected, expires), found.version + 1, expires))
        }
        (None, Some(found)) => Write::DeleteVersion(key, found.version),
        (None, None) => Write::Delete(key),
    };
    match database.write(vec![write]).await {
        Ok(_) | Err(CommitError::ConditionFailed(0)) => {}
        Err(error) => panic!("{error:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30))]

    #[test]
    fn tallies_are_what_counting_gives_whoever_comes_first(rounds in wishes()) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            let database = Database::in_memory().unwrap();
            for round in rounds {
                join_all(round.into_iter().map(|wish| carry_out(&database, wish))).await;
                let count = database.approximate_item_count().await.unwrap();
                assert_eq!(counted(&database).await, i64::try_from(count).unwrap());
            }
            database.sweep_expired().await.unwrap();
            let left = database.approximate_item_count().await.unwrap();
            assert_eq!(counted(&database).await, i64::try_from(left).unwrap());
            for place in 0..RUNS {
                carry_out(&database, (place, None)).await;
            }
            for length in [Length::Whole, Length::Hour, Length::Minute] {
                assert!(all(&database, length).await.is_empty(), "nothing is left of runs that are gone");
            }
        });
    }
}

async fn filled() -> InFile {
    let in_file = InFile::new();
    for place in 0..RUNS {
        let run = run(place, TYPES[place % 3], Some(i64::try_from(place).unwrap() * 700_000_000), true);
        in_file.database.write(vec![Write::Insert(item(&run, 1, false))]).await.unwrap();
    }
    let event: ReceivedEvent = serde_json::from_value(json!({
        "occurred": micros(0), "received": micros(0), "event": "kettle.boiled", "id": Uuid::from_u128(7),
        "resource": {"prefect.resource.id": "kettle"}, "related": [], "payload": {},
    }))
    .unwrap();
    in_file.database.write(vec![Write::Insert(Item::of(&event, 1, Shards(1)).unwrap())]).await.unwrap();
    // An item that looks like a run and is none.
    insert(&in_file.database, 1).await;
    in_file
}

/// Lets the rows hold all that was written before.
async fn fold(database: &Database) {
    let mut changes = database.changes();
    while let Ok(Ok(_)) = tokio::time::timeout(Duration::from_secs(1), changes.next(100)).await {
        changes.acknowledge();
    }
}

#[tokio::test]
async fn a_file_without_tallies_has_them_counted_when_it_is_opened() {
    let InFile { directory, database } = filled().await;
    let before = (all(&database, Length::Whole).await, all(&database, Length::Minute).await);
    let path = directory.path().join("proctor.db");
    drop(database);
    let file = rusqlite::Connection::open(&path).unwrap();
    file.execute_batch("DROP TABLE tallies; DROP TABLE folded; PRAGMA user_version = 1").unwrap();
    drop(file);
    assert!(before.1.keys().any(|(_, cell)| cell == "kettle.boiled"));
    for _ in 0..2 {
        let database = Database::open(&path, Mode::Serving).unwrap();
        assert_eq!(counted(&database).await, i64::try_from(RUNS).unwrap());
        assert_eq!((all(&database, Length::Whole).await, all(&database, Length::Minute).await), before);
    }
}

#[tokio::test]
async fn what_another_process_wrote_counts_at_once() {
    let InFile { directory, database } = filled().await;
    let beside = Database::open(&directory.path().join("proctor.db"), Mode::Beside).unwrap();
    for number in 0..300 {
        let (writes, reads) = if number % 3 == 0 { (&beside, &database) } else { (&database, &beside) };
        carry_out(writes, (number % RUNS, Some((TYPES[number % 3], Some(0), false)))).await;
        assert_eq!(all(writes, Length::Whole).await, all(reads, Length::Whole).await);
    }
    assert_eq!(counted(&beside).await, i64::try_from(RUNS).unwrap());
}

#[tokio::test]
async fn tallies_that_are_wrong_are_found_and_mended_beside_writes() {
    let InFile { directory, database } = filled().await;
    let file = rusqlite::Connection::open(directory.path().join("proctor.db")).unwrap();
    let change = |sql: &str| assert!(file.execute(sql, []).unwrap() > 0, "{sql}");
    fold(&database).await;
    change("UPDATE tallies SET runs = runs + 5 WHERE length = 0 AND scope = x''");
    change("DELETE FROM tallies WHERE length = 1");
    change("INSERT INTO tallies VALUES (2, x'', 7, 'RUNNING|000|Running', 1, 2, 3, 4, 5)");
    let beside = Database::open(&directory.path().join("proctor.db"), Mode::Beside).unwrap();
    let found = beside.check_tallies(false).await.unwrap();
    assert!(found > 3);
    assert_eq!(beside.check_tallies(false).await.unwrap(), found, "a look mends nothing");
    let writes = (0..40).map(|number| carry_out(&database, (number % RUNS, Some((TYPES[number % 3], Some(0), false)))));
    let (mended, _) = futures::join!(beside.check_tallies(true), join_all(writes));
    assert_eq!(mended.unwrap(), found);
    assert_eq!(counted(&database).await, i64::try_from(RUNS).unwrap());
}
