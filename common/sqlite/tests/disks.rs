//! Disks that are full and files that may only be read, and the end of both.
//!
//! What limits a process limits all of its tests, so each of these runs in a process of its own.

#![cfg(target_os = "linux")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{
    fs::{self, Permissions},
    os::unix::{
        fs::{MetadataExt, PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::Command,
};

use error::Error;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sqlite::{Database, Mode};
use store::{CommitError, Write, backend::Backend};
use support::{find, insert, item};

/// Where the process of its own has its file.
const FILE: &str = "SQLITE_TEST_FILE";

/// A user without rights: to the superuser no file is read-only.
const NOBODY: u32 = 65_534;

fn is_unavailable<T>(outcome: &Result<T, CommitError>) -> bool {
    matches!(outcome, Err(CommitError::Failed(Error::Unavailable(_))))
}

fn file() -> Option<PathBuf> {
    Some(std::env::var(FILE).ok()?.into())
}

/// Says of this process's files how long they may get.
fn limit(bytes: Option<u64>) {
    let Rlimit { maximum, .. } = getrlimit(Resource::Fsize);
    setrlimit(Resource::Fsize, Rlimit { current: bytes, maximum }).unwrap();
}

/// Runs the test `name` of `binary` in a process of its own, with the file `path`.
fn run(binary: &Path, name: &str, path: &Path, as_nobody: bool) {
    // The write that exceeds the limit fails, as it does on a full disk, in place of ending the process.
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]).arg(binary);
    command.args(["--exact", name, "--nocapture"]).env(FILE, path);
    if as_nobody {
        command.uid(NOBODY).gid(NOBODY);
    }
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_full_disk_loses_nothing_and_is_written_again_when_there_is_room() {
    let directory = tempfile::tempdir().unwrap();
    let binary = std::env::current_exe().unwrap();
    run(&binary, "within_the_limit", &directory.path().join("proctor.db"), false);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn within_the_limit() {
    let Some(path) = file() else { return };
    let database = Database::open(&path, Mode::Serving).unwrap();
    insert(&database, 1).await;
    assert!(database.is_ready().await.unwrap());
    let log = format!("{}-wal", path.display());
    limit(Some(fs::metadata(&log).unwrap().len()));
    for round in 0..3 {
        let writes = (0..8).map(|number| {
            let database = database.clone();
            let item = item(100 + 10 * round + number, 1, 50_000);
            tokio::spawn(async move { database.write(vec![Write::Insert(item)]).await })
        });
        for write in writes.collect::<Vec<_>>() {
            assert!(is_unavailable(&write.await.unwrap()));
        }
        assert!(matches!(database.is_ready().await, Err(Error::Unavailable(_))));
        assert!(find(&database, 1).await.is_some(), "reads go on");
        assert!(find(&database, 100).await.is_none(), "nothing is written of what was refused");
    }
    limit(None);
    insert(&database, 2).await;
    assert!(database.is_ready().await.unwrap());
    assert_eq!(database.approximate_item_count().await, Some(2));
    assert_eq!(database.integrity_check().await.unwrap(), Vec::<String>::new());
}

#[test]
fn a_read_only_file_is_read_and_written_again_when_it_may_be() {
    let directory = tempfile::tempdir().unwrap();
    let mut binary = std::env::current_exe().unwrap();
    let is_superuser = fs::metadata("/proc/self").unwrap().uid() == 0;
    if is_superuser {
        // Where the build is, nobody may come.
        let copy = directory.path().join("test");
        assert!(Command::new("cp").args([&binary, &copy]).status().unwrap().success());
        binary = copy;
        chown(directory.path(), Some(NOBODY), Some(NOBODY)).unwrap();
    }
    run(&binary, "while_the_file_is_read_only", &directory.path().join("proctor.db"), is_superuser);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_file_is_read_only() {
    let Some(path) = file() else { return };
    let database = Database::open(&path, Mode::Serving).unwrap();
    insert(&database, 1).await;
    drop(database);
    fs::set_permissions(&path, Permissions::from_mode(0o444)).unwrap();
    let database = Database::open(&path, Mode::Serving).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o400);
    assert!(matches!(database.is_ready().await, Err(Error::Unavailable(_))));
    assert!(is_unavailable(&database.write(vec![Write::Insert(item(2, 1, 10))]).await));
    assert!(find(&database, 1).await.is_some(), "reads go on");
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    insert(&database, 2).await;
    assert!(database.is_ready().await.unwrap());
    // So much that the log is moved.
    for round in 0..20 {
        let writes = (10..20).map(|number| Write::Put(item(number, round + 1, 300_000))).collect();
        database.write(writes).await.unwrap();
    }
    assert!(find(&database, 2).await.is_some() && find(&database, 19).await.is_some());
    drop(database);
    let database = Database::open(&path, Mode::Serving).unwrap();
    assert_eq!(database.approximate_item_count().await, Some(12));
    assert_eq!(database.integrity_check().await.unwrap(), Vec::<String>::new());
}
