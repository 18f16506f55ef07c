//! Items and writes of the tests.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(dead_code, reason = "no test uses all of it")]

use std::{collections::BTreeMap, path::PathBuf};

use sqlite::{Database, Mode};
use store::{Item, Key, Write, backend::Backend, backend::Consistency, table::Index};
use tempfile::TempDir;

/// A database in a file of its own, whose directory goes away with it.
pub(crate) struct InFile {
    pub(crate) directory: TempDir,
    pub(crate) database: Database,
}

impl InFile {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let database = Database::open(&directory.path().join("proctor.db"), Mode::Serving).unwrap();
        Self { directory, database }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("proctor.db")
    }
}

/// Returns the key of the flow run of this number, which is followed.
pub(crate) fn key(number: usize) -> Key {
    Key { pk: format!("flow_run#00000000-0000-4000-8000-{number:012}"), sk: "run".into() }
}

/// Returns an item of this number in one index, with some bytes of content.
pub(crate) fn item(number: usize, version: u64, bytes: usize) -> Item {
    let index_keys = BTreeMap::from([
        (Index::ByStart.partition(), "flow_runs#0".to_owned()),
        (Index::ByStart.sort(), format!("{number:06}\u{1}{version}")),
    ]);
    Item {
        key: key(number),
        version,
        announced: None,
        head: Some(format!(r#"{{"number":{number}}}"#)),
        tail: Some("x".repeat(bytes)),
        brief: None,
        expires: None,
        index_keys,
    }
}

pub(crate) async fn insert(database: &Database, number: usize) {
    database.write(vec![Write::Insert(item(number, 1, 100))]).await.unwrap();
}

pub(crate) async fn find(database: &Database, number: usize) -> Option<Item> {
    database.get(&[&key(number)], Consistency::Strong).await.unwrap().0.pop()
}
