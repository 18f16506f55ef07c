//! Copies of a database that is in use, and whether what is in it fits together.

use std::{
    fs::File,
    io::{self, ErrorKind},
    path::Path,
};

use rusqlite::Connection;

use crate::{
    Database, SqliteError,
    index::{self, Keys},
    item,
};

/// How many things that are wrong are told of at most.
const MOST_PROBLEMS: usize = 100;

impl Database {
    /// Copies the database into the file `target`, which must not be there yet, while writes go on.
    ///
    /// The copy is as the database was at one moment, takes no room for what was deleted, opens by itself, and is its
    /// owner's alone. It has its name only when it is whole and on the disk.
    ///
    /// # Errors
    /// [`SqliteError::Exists`] if the target is there; those of the database and of the target's disk.
    pub async fn backup(&self, target: &Path) -> Result<(), SqliteError> {
        let target = target.to_owned();
        self.0.read_aside(move |connection| copy(connection, &target)).await
    }

    /// Looks whether the file is sound, and whether every index has the entries of the items and no others.
    ///
    /// Returns what is wrong, in words.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn integrity_check(&self) -> Result<Vec<String>, SqliteError> {
        self.0.read_aside(check).await
    }
}

fn copy(connection: &Connection, target: &Path) -> Result<(), SqliteError> {
    if target.symlink_metadata().is_ok() {
        return Err(SqliteError::Exists(target.to_owned()));
    }
    let target = std::path::absolute(target)?;
    let directory = target.parent().unwrap_or(&target);
    // It is the owner's alone from the start, and goes away by itself if the copy fails.
    let partial = tempfile::Builder::new().prefix(".proctor-backup-").tempfile_in(directory)?;
    // SQLite takes names in UTF-8, and an absolute one for no URI.
    let name =
        partial.path().to_str().ok_or_else(|| io::Error::new(ErrorKind::InvalidInput, "the name is no UTF-8"))?;
    connection.execute("VACUUM INTO ?1", [name])?;
    partial.as_file().sync_all()?;
    partial.persist_noclobber(&target).map_err(|error| match error.error.kind() {
        ErrorKind::AlreadyExists => SqliteError::Exists(target.clone()),
        _ => error.error.into(),
    })?;
    // Where a directory can't be synced, the name is as durable as the file system makes it.
    let _ = File::open(directory).and_then(|directory| directory.sync_all());
    Ok(())
}

fn check(connection: &Connection) -> Result<Vec<String>, SqliteError> {
    // One moment for all that is compared.
    let transaction = connection.unchecked_transaction()?;
    let mut problems = Vec::new();
    {
        let mut statement = transaction.prepare("PRAGMA integrity_check(100)")?;
        let mut lines = statement.query([])?;
        while let Some(line) = lines.next()? {
            problems.push(line.get::<_, String>(0)?);
        }
    }
    problems.retain(|problem| problem != "ok");
    let mut expected: i64 = 0;
    let mut items = transaction.prepare("SELECT id, pk, sk, keys FROM items")?;
    let mut entry =
        transaction.prepare("SELECT 1 FROM index_entries WHERE i = ?1 AND p = ?2 AND s = ?3 AND item = ?4")?;
    let mut rows = items.query([])?;
    while let Some(row) = rows.next()? {
        let (id, pk, sk): (i64, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let text: String = row.get(3)?;
        let keys: Keys = match item::keys(Some(&text)) {
            Ok(keys) => keys,
            Err(error) => {
                problems.push(format!("{pk} / {sk}: {error}"));
                continue;
            }
        };
        for (number, partition, sort) in index::entries(&keys) {
            expected += 1;
            if !entry.exists(rusqlite::params![number, partition, sort, id])? {
                problems.push(format!("{pk} / {sk}: index {number} lacks its entry {partition} / {sort}"));
            }
        }
        if problems.len() >= MOST_PROBLEMS {
            return Ok(problems);
        }
    }
    let found: i64 = transaction.query_row("SELECT count(*) FROM index_entries", [], |row| row.get(0))?;
    if problems.is_empty() && found != expected {
        problems.push(format!("the indexes have {} entries of no item", found - expected));
    }
    Ok(problems)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use store::{Item, Key, Write, backend::Backend, table::Index};

    use super::*;

    #[tokio::test]
    async fn an_index_that_differs_from_the_items_is_told_of() {
        let database = Database::in_memory().unwrap();
        let item = Item {
            key: Key { pk: "flow#1".into(), sk: "flow".into() },
            version: 1,
            announced: None,
            head: None,
            tail: None,
            brief: None,
            expires: None,
            index_keys: BTreeMap::from([
                (Index::ByName.partition(), "flows#0".into()),
                (Index::ByName.sort(), "a".into()),
            ]),
        };
        database.write(vec![Write::Put(item)]).await.unwrap();
        assert_eq!(database.integrity_check().await.unwrap(), Vec::<String>::new());
        let change = |sql: &str| database.0.writer.hold().execute_batch(sql).unwrap();
        change("INSERT INTO index_entries VALUES (5, 'flows#0', 'b', 1)");
        assert_eq!(database.integrity_check().await.unwrap(), ["the indexes have 1 entries of no item"]);
        change("DELETE FROM index_entries WHERE s = 'a'");
        assert_eq!(database.integrity_check().await.unwrap(), ["flow#1 / flow: index 5 lacks its entry flows#0 / a"]);
        change("UPDATE items SET keys = '{'");
        let problems = database.integrity_check().await.unwrap();
        assert!(problems[0].starts_with("flow#1 / flow: what is stored can't be read"), "{problems:?}");
    }
}
