//! The stream: what is told of, again until it is acknowledged, and once only after that.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use sqlite::{Changes, Database, Mode};
use store::{Key, Write, backend::Backend};
use support::{InFile, insert, item, key};

async fn next(changes: &mut Changes, limit: usize) -> Vec<Key> {
    changes.next(limit).await.unwrap().into_iter().map(|change| change.key).collect()
}

async fn is_quiet(changes: &mut Changes) -> bool {
    tokio::time::timeout(Duration::from_millis(400), changes.next(1)).await.is_err()
}

#[tokio::test]
async fn a_change_comes_again_until_it_is_acknowledged() {
    for database in [Database::in_memory().unwrap(), InFile::new().database] {
        let mut changes = database.changes();
        for number in 0..5 {
            insert(&database, number).await;
        }
        assert_eq!(next(&mut changes, 2).await, [key(0), key(1)]);
        assert_eq!(next(&mut changes, 3).await, [key(0), key(1), key(2)]);
        changes.acknowledge();
        assert_eq!(next(&mut changes, 9).await, [key(3), key(4)]);
        // One that takes the place of another goes on where that one was.
        let mut changes = database.changes();
        assert_eq!(next(&mut changes, 9).await, [key(3), key(4)]);
        changes.acknowledge();
        assert!(is_quiet(&mut changes).await);
    }
}

#[tokio::test]
async fn a_change_outlives_the_process_until_it_is_acknowledged() {
    let InFile { directory, database } = InFile::new();
    let path = directory.path().join("proctor.db");
    for number in 0..5 {
        insert(&database, number).await;
    }
    let mut changes = database.changes();
    assert_eq!(next(&mut changes, 2).await, [key(0), key(1)]);
    changes.acknowledge();
    // What is consumed is deleted when nothing was written for a moment.
    assert_eq!(next(&mut changes, 2).await, [key(2), key(3)]);
    drop((changes, database));
    let database = Database::open(&path, Mode::Serving).unwrap();
    let mut changes = database.changes();
    assert_eq!(next(&mut changes, 9).await.last(), Some(&key(4)));
    changes.acknowledge();
    assert!(is_quiet(&mut changes).await);
    drop((changes, database));
    let database = Database::open(&path, Mode::Serving).unwrap();
    let mut changes = database.changes();
    assert!(is_quiet(&mut changes).await, "what was consumed is deleted");
    insert(&database, 5).await;
    assert_eq!(next(&mut changes, 9).await, [key(5)], "no number is used twice");
    drop((changes, database));
    assert_eq!(next(&mut Database::open(&path, Mode::Serving).unwrap().changes(), 9).await, [key(5)]);
}

#[tokio::test]
async fn what_another_process_wrote_is_told_of() {
    let served = InFile::new();
    let mut changes = served.database.changes();
    let beside = Database::open(&served.path(), Mode::Beside).unwrap();
    for number in 0..20 {
        insert(if number % 3 == 0 { &beside } else { &served.database }, number).await;
    }
    let mut told = Vec::new();
    while told.len() < 20 {
        told.extend(next(&mut changes, 7).await);
        changes.acknowledge();
    }
    assert_eq!(told, (0..20).map(key).collect::<Vec<_>>(), "in the order of the writes");
    let waiting = tokio::spawn(async move { next(&mut changes, 7).await });
    tokio::time::sleep(Duration::from_millis(20)).await;
    insert(&beside, 20).await;
    assert_eq!(tokio::time::timeout(Duration::from_secs(2), waiting).await.unwrap().unwrap(), [key(20)]);
}

#[tokio::test]
async fn what_does_not_fit_into_memory_is_told_of_all_the_same() {
    let database = Database::in_memory().unwrap();
    let mut changes = database.changes();
    for round in 0..100 {
        // Each is more than a third of a megabyte with what was before, and nobody consumes.
        database.write(vec![Write::Put(item(round % 2, 1 + round as u64, 200_000))]).await.unwrap();
    }
    for number in 10..2_500 {
        insert(&database, number).await;
    }
    let (mut versions, mut others) = (Vec::new(), 0);
    while others < 2_490 {
        for change in changes.next(50).await.unwrap() {
            let after = change.after.unwrap();
            if change.key == key(0) || change.key == key(1) {
                assert_eq!(change.before.map(|before| before.version), after.version.checked_sub(2).filter(|v| *v > 0));
                versions.push(after.version);
            } else {
                others += 1;
                assert_eq!(change.key, key(others + 9));
            }
        }
        changes.acknowledge();
    }
    assert_eq!(versions, (1..=100).collect::<Vec<u64>>());
    assert!(is_quiet(&mut changes).await);
}

#[tokio::test]
async fn a_write_that_changes_nothing_is_not_told_of() {
    let database = Database::in_memory().unwrap();
    let mut changes = database.changes();
    insert(&database, 1).await;
    assert_eq!(next(&mut changes, 9).await, [key(1)]);
    changes.acknowledge();
    database.write(vec![Write::Put(item(1, 1, 100)), Write::Delete(key(2))]).await.unwrap();
    assert!(is_quiet(&mut changes).await);
}
