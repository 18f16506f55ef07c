//! Writes that wait together, and what harms none of them.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{sync::Arc, time::Duration};

use sqlite::{Database, Durability, Mode};
use store::{
    CommitError, Write,
    backend::{Backend, LARGEST_RECORD},
};
use support::{InFile, find, insert, item};

/// Writes from many tasks at once: each adds an item of its own, and counts one that all share.
async fn write_at_once(database: &Database, tasks: usize, each: usize) {
    database.write(vec![Write::Insert(item(0, 1, 10))]).await.unwrap();
    let tasks = (1..=tasks).map(|task| {
        let database = database.clone();
        tokio::spawn(async move {
            let mut conflicts = 0;
            for number in 0..each {
                let own = Write::Insert(item(task * 1_000 + number, 1, 200));
                loop {
                    let version = find(&database, 0).await.unwrap().version;
                    let counted = Write::Replace(item(0, version + 1, 10));
                    match database.write(vec![own.clone(), counted]).await {
                        Ok(_) => break,
                        Err(CommitError::ConditionFailed(1)) => conflicts += 1,
                        Err(error) => panic!("{error:?}"),
                    }
                }
            }
            conflicts
        })
    });
    let (mut conflicts, tasks) = (0, tasks.collect::<Vec<_>>());
    for task in tasks {
        conflicts += task.await.unwrap();
    }
    assert!(conflicts > 0, "they got into each other's way");
}

async fn all_is_written_once(database: &Database, tasks: usize, each: usize) {
    assert_eq!(find(database, 0).await.unwrap().version, u64::try_from(tasks * each).unwrap() + 1);
    assert_eq!(database.approximate_item_count().await, u64::try_from(tasks * each + 1).ok());
    assert_eq!(database.integrity_check().await.unwrap(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_refused_write_harms_no_neighbour() {
    let in_file = InFile::new();
    for database in [Database::in_memory().unwrap(), in_file.database.clone()] {
        write_at_once(&database, 16, 25).await;
        all_is_written_once(&database, 16, 25).await;
    }
}

#[tokio::test]
async fn one_thread_suffices_for_all_of_them() {
    let in_file = InFile::new();
    write_at_once(&in_file.database, 8, 10).await;
    all_is_written_once(&in_file.database, 8, 10).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_wait_for_the_disk_where_that_is_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("proctor.db");
    let database = Database::open_with(&path, Mode::Serving, Durability::Full).unwrap();
    write_at_once(&database, 8, 10).await;
    all_is_written_once(&database, 8, 10).await;
}

#[tokio::test]
async fn what_is_given_up_leaves_nobody_waiting() {
    let database = Database::in_memory().unwrap();
    for number in 0..50 {
        // It is polled once, so it waits for its turn, and is dropped.
        let write = database.write(vec![Write::Insert(item(number, 1, 10))]);
        let _ = tokio::time::timeout(Duration::ZERO, write).await;
    }
    let last = tokio::time::timeout(Duration::from_secs(5), insert(&database, 1_000)).await;
    assert!(last.is_ok() && find(&database, 1_000).await.is_some());
    assert_eq!(database.integrity_check().await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn other_tasks_run_while_many_writes_wait() {
    let database = Arc::new(Database::in_memory().unwrap());
    let writes = (0..2_000).map(|number| {
        let database = database.clone();
        tokio::spawn(async move { insert(&database, number).await })
    });
    let writes: Vec<_> = writes.collect();
    let mut turns = 0;
    while !writes.iter().all(tokio::task::JoinHandle::is_finished) {
        tokio::task::yield_now().await;
        turns += 1;
    }
    // There is one thread, and a batch has some 60 writes.
    assert!(turns >= 20, "another task had {turns} turns while 2,000 writes were made");
    assert_eq!(database.approximate_item_count().await, Some(2_000));
}

#[tokio::test]
async fn an_item_over_the_bound_is_refused() {
    let database = Database::in_memory().unwrap();
    let is_too_large =
        |outcome: Result<_, CommitError>| matches!(outcome, Err(CommitError::Failed(error::Error::TooLarge(_))));
    let large = |number| Write::Put(item(number, 1, 1_000_000));
    let over = Write::Put(item(1, 1, LARGEST_RECORD + 1));
    assert!(is_too_large(database.write(vec![over.clone()]).await));
    assert!(is_too_large(database.write(vec![large(2), over]).await));
    assert_eq!(database.approximate_item_count().await, Some(0));
    database.write((1..=10).map(large).collect()).await.unwrap();
    assert_eq!(database.approximate_item_count().await, Some(10));
}
