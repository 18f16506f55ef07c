//! Which files are opened, by whom, and what becomes of them.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::Duration,
};

use sqlite::{Database, Mode, SqliteError};
use store::{
    Item, Key, Write,
    backend::{Backend, Query, ReadOut},
    query::Range,
    table::{self, Index, null},
};
use support::{InFile, find, insert, item};

#[tokio::test]
async fn a_second_server_is_refused_and_a_command_is_not() {
    let first = InFile::new();
    insert(&first.database, 1).await;
    let Err(SqliteError::InUse(path)) = Database::open(&first.path(), Mode::Serving) else { panic!("it is in use") };
    assert_eq!(path, first.path());
    let beside = Database::open(&first.path(), Mode::Beside).unwrap();
    assert!(find(&beside, 1).await.is_some());
    insert(&beside, 2).await;
    assert!(find(&first.database, 2).await.is_some());
    drop(beside);
    let InFile { directory, database } = first;
    drop(database);
    let again = Database::open(&directory.path().join("proctor.db"), Mode::Serving).unwrap();
    assert!(find(&again, 2).await.is_some());
}

#[test]
fn what_is_not_ours_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("proctor.db");
    let refused = |sql: &str| {
        let _ = fs::remove_file(&path);
        rusqlite::Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        let before = fs::read(&path).unwrap();
        let error = Database::open(&path, Mode::Serving).unwrap_err();
        assert_eq!(fs::read(&path).unwrap(), before, "{error}");
        error
    };
    assert!(matches!(refused("CREATE TABLE notes (text)"), SqliteError::Foreign(_)));
    assert!(matches!(refused("PRAGMA application_id = 7"), SqliteError::Foreign(_)));
    assert!(matches!(refused("CREATE TABLE a (b); CREATE TABLE _stream_records (id)"), SqliteError::Former(_)));
    drop(Database::open(&directory.path().join("other.db"), Mode::Serving).unwrap());
    let newer = rusqlite::Connection::open(directory.path().join("other.db")).unwrap();
    newer.pragma_update(None, "user_version", 8).unwrap();
    drop(newer);
    let error = Database::open(&directory.path().join("other.db"), Mode::Beside).unwrap_err();
    assert!(matches!(error, SqliteError::Newer { found: 8, known: 7, .. }), "{error}");
    fs::write(&path, "no database, however long the text in it may be, ".repeat(100)).unwrap();
    assert!(matches!(Database::open(&path, Mode::Serving).unwrap_err(), SqliteError::Foreign(_)));
}

#[test]
fn the_words_of_a_refusal_name_the_file_and_what_to_do() {
    let path = std::path::PathBuf::from("/somewhere/proctor.db");
    for error in [
        SqliteError::InUse(path.clone()),
        SqliteError::Former(path.clone()),
        SqliteError::Foreign(path.clone()),
        SqliteError::Newer { path, found: 8, known: 7 },
    ] {
        let words = error.to_string();
        assert!(words.contains("/somewhere/proctor.db") && words.contains("--data"), "{words}");
    }
}

#[tokio::test]
async fn runs_of_an_older_file_lose_the_places_that_no_time_gave_them() {
    let InFile { directory, database } = InFile::new();
    let mut runs = [item(1, 1, 10), item(2, 1, 10)];
    for (run, times) in runs.iter_mut().zip([[null(), null()], ["2026-01-31T09:30:00.000000Z".to_owned(), null()]]) {
        for (index, time) in [Index::ByEnd, Index::ByNextStart].into_iter().zip(times) {
            run.index_keys.insert(index.partition(), "flow_runs#0".into());
            run.index_keys.insert(index.sort(), table::sort_with_id(&time, &run.key.pk));
        }
    }
    let mut block = Item { key: Key { pk: "block_document#1".into(), sk: "block_document".into() }, ..item(3, 1, 10) };
    block.index_keys.insert(Index::ByEnd.sort(), "! is a name\u{1}1".into());
    block.index_keys.insert(Index::ByEnd.partition(), "block_documents#0".into());
    let all = runs.iter().chain([&block]).cloned().map(Write::Insert).collect();
    database.write(all).await.unwrap();
    let path = directory.path().join("proctor.db");
    drop(database);
    let file = rusqlite::Connection::open(&path).unwrap();
    let places = |file: &rusqlite::Connection| -> Vec<(i64, String)> {
        let mut entries = file.prepare("SELECT i, s FROM index_entries WHERE i IN (3, 4) ORDER BY i, s").unwrap();
        entries.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
    };
    assert_eq!(places(&file).len(), 5);
    file.execute_batch("PRAGMA user_version = 5").unwrap();
    drop(file);
    let database = Database::open(&path, Mode::Serving).unwrap();
    let [unending, ended] = [find(&database, 1).await.unwrap(), find(&database, 2).await.unwrap()];
    let has = |item: &Item, index: Index| item.index_keys.contains_key(&index.sort());
    assert!(!has(&unending, Index::ByEnd) && has(&ended, Index::ByEnd));
    assert!(!has(&unending, Index::ByNextStart) && !has(&ended, Index::ByNextStart));
    assert_eq!(unending.index_keys[&Index::ByStart.sort()], runs[0].index_keys[&Index::ByStart.sort()]);
    drop(database);
    let kept = places(&rusqlite::Connection::open(&path).unwrap());
    assert_eq!(kept.len(), 2);
    assert!(kept[0].1.starts_with("! is a name") && kept[1].1.starts_with("2026"), "{kept:?}");
}

#[tokio::test]
async fn runs_of_an_older_file_that_have_not_started_lose_their_places_by_start_time() {
    let InFile { directory, database } = InFile::new();
    let run = |number: usize, head: &str, next: Option<&str>| {
        let id = format!("{number:036}");
        let mut run = Item { key: Key { pk: format!("flow_run#{id}"), sk: "run".into() }, ..item(number, 1, 10) };
        let place = |time: &str| table::sort_with_id(time, &id);
        run.index_keys = [
            (Index::ByTime.partition(), "flow_runs#0".to_owned()),
            (Index::ByTime.sort(), place("2026-01-31T09:30:00.000000Z")),
            (Index::ByStart.partition(), "flow_runs#0".to_owned()),
            (Index::ByStart.sort(), place("2026-01-31T09:30:00.000000Z")),
            (Index::ByDeployment.partition(), "deployment#1#0".to_owned()),
        ]
        .into_iter()
        .chain(next.map(|time| (Index::ByNextStart.sort(), place(time))))
        .collect();
        run.head = Some(head.to_owned());
        run
    };
    let runs = [
        run(1, r#"{"state_type":"SCHEDULED"}"#, Some("2026-01-31T09:30:00.000000Z")),
        run(2, r#"{"state_type":"SCHEDULED"}"#, Some("2026-01-31T09:31:00.000000Z")),
        run(3, r#"{"state_type":"RUNNING","start_time":"2026-01-31T09:30:00Z"}"#, None),
        run(4, "of no use", None),
    ];
    database.write(runs.iter().cloned().map(Write::Insert).collect()).await.unwrap();
    let path = directory.path().join("proctor.db");
    drop(database);
    let file = rusqlite::Connection::open(&path).unwrap();
    // All orders of a collection were keyed by one attribute then.
    let attribute = format!("$.{}", Index::ByStart.partition());
    file.execute("UPDATE items SET keys = json_remove(keys, ?1)", [attribute]).unwrap();
    file.execute_batch("PRAGMA user_version = 6").unwrap();
    drop(file);
    let database = Database::open(&path, Mode::Serving).unwrap();
    let found = |index: Index, partition: &str| {
        let (database, range) = (database.clone(), Range::of_index(index, partition));
        async move {
            let query = Query {
                range: &range,
                partition: &range.partitions[0],
                read_out: ReadOut::Items,
                limit: 9,
                start: None,
            };
            let page = database.query(&query).await.unwrap().0;
            page.items
                .into_iter()
                .map(|item| item.index_keys[&index.sort()].replace("000000000", ""))
                .collect::<Vec<_>>()
        }
    };
    let at = |minute: usize, mark: &str, number: usize| {
        table::sort_with_id(&format!("2026-01-31T09:{minute}:00.000000Z"), format!("{number:036}{mark}"))
            .replace("000000000", "")
    };
    for (index, partition) in [(Index::ByStart, "flow_runs#0"), (Index::ByDeployment, "deployment#1#0")] {
        let expected = [2, 3, 4].map(|number| at(30, "", number));
        assert_eq!(found(index, partition).await, expected, "{index:?}");
    }
    assert_eq!(found(Index::ByNextStart, "flow_runs#0").await, [at(30, "", 1), at(31, "#", 2)]);
    // What starts takes its places, and leaves none behind.
    let mut started = runs[0].clone();
    started.version = 2;
    started.index_keys.remove(&Index::ByNextStart.sort());
    database.write(vec![Write::Replace(started)]).await.unwrap();
    assert_eq!(found(Index::ByStart, "flow_runs#0").await.len(), 4);
    assert_eq!(found(Index::ByNextStart, "flow_runs#0").await, [at(31, "#", 2)]);
}

/// What this process writes, where it is the one that is killed.
const WRITES_INTO: &str = "SQLITE_TEST_WRITES_INTO";

/// Is no test by itself: it writes until it is killed, and tells of each write that was answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_until_it_is_killed() {
    let Ok(path) = std::env::var(WRITES_INTO) else { return };
    let database = Database::open(path.as_ref(), Mode::Serving).unwrap();
    let writers = (0..8_usize).map(|writer| {
        let database = database.clone();
        tokio::spawn(async move {
            for number in (writer..usize::MAX).step_by(8) {
                insert(&database, number).await;
                println!("written {number}");
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
}

#[tokio::test]
async fn what_was_answered_is_there_after_a_kill() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("proctor.db");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "writes_until_it_is_killed", "--nocapture"])
        .env(WRITES_INTO, &path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut answered: Vec<usize> = Vec::new();
    let mut lines =
        lines.map_while(Result::ok).filter_map(|line| line.rsplit_once("written ")?.1.parse::<usize>().ok());
    answered.extend(lines.by_ref().take(300));
    child.kill().unwrap();
    child.wait().unwrap();
    answered.extend(lines);
    // The operating system has freed the lock.
    let database = Database::open(&path, Mode::Serving).unwrap();
    assert!(answered.len() >= 300);
    for number in &answered {
        assert!(find(&database, *number).await.is_some(), "{number} was answered");
    }
    assert_eq!(database.integrity_check().await.unwrap(), Vec::<String>::new());
    let (mut changes, mut told) = (database.changes(), Vec::new());
    while let Ok(more) = tokio::time::timeout(Duration::from_millis(50), changes.next(100)).await {
        told.extend(more.unwrap().into_iter().map(|change| change.key));
        changes.acknowledge();
    }
    assert!(answered.iter().all(|number| told.contains(&support::key(*number))), "each change is told of");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_whole_and_private_and_replaces_nothing() {
    let served = InFile::new();
    for number in 0..200 {
        insert(&served.database, number).await;
    }
    let database = served.database.clone();
    let writer = tokio::spawn(async move {
        for number in 200..usize::MAX {
            insert(&database, number).await;
        }
    });
    let target = served.directory.path().join("copy.db");
    served.database.backup(&target).await.unwrap();
    writer.abort();
    let taken = served.database.backup(&target).await.unwrap_err();
    assert!(matches!(taken, SqliteError::Exists(_)), "{taken}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let copy = Database::open(&target, Mode::Serving).unwrap();
    assert_eq!(copy.integrity_check().await.unwrap(), Vec::<String>::new());
    let there = copy.approximate_item_count().await.unwrap();
    assert!(there >= 200);
    // It is as of one moment: of items that were written one after the other none is missing in between.
    for number in 0..usize::try_from(there).unwrap() {
        assert!(find(&copy, number).await.is_some(), "{number} of {there}");
    }
    insert(&copy, 1_000_000).await;
    let names = fs::read_dir(served.directory.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let partial: Vec<_> = names.filter(|name| name.to_string_lossy().contains("backup")).collect();
    assert!(partial.is_empty(), "{partial:?}");
    let nowhere = served.database.backup(&served.directory.path().join("no/such/copy.db")).await.unwrap_err();
    assert!(matches!(nowhere, SqliteError::File(_)), "{nowhere}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_stays_short_under_steady_writes() {
    let served = InFile::new();
    let log = || fs::metadata(format!("{}-wal", served.path().display())).map_or(0, |file| file.len());
    let mut longest = 0;
    for round in 0..120 {
        let writes = (0..10).map(|number| Write::Put(item(number, round + 1, 300_000))).collect();
        served.database.write(writes).await.unwrap();
        longest = longest.max(log());
    }
    // 120 rounds of 3 MB, each with the changes that are told of, are more than 1 GB.
    assert!(longest < 500 * 1024 * 1024, "{longest} bytes");
    let range = Range::of_index(Index::ByStart, "flow_runs#0");
    let found = store::Store::on(served.database.clone(), 1).read_all(range).await.unwrap();
    assert_eq!(found.len(), 10);
}
