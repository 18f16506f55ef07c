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
use store::{Write, backend::Backend, query::Range, table::Index};
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
    newer.pragma_update(None, "user_version", 6).unwrap();
    drop(newer);
    let error = Database::open(&directory.path().join("other.db"), Mode::Beside).unwrap_err();
    assert!(matches!(error, SqliteError::Newer { found: 6, known: 5, .. }), "{error}");
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
        SqliteError::Newer { path, found: 6, known: 5 },
    ] {
        let words = error.to_string();
        assert!(words.contains("/somewhere/proctor.db") && words.contains("--data"), "{words}");
    }
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
