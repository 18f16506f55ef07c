//! The tables of the file, and which files are refused.
//!
//! What a version writes and another one does not know gets a new [`VERSION`]. A file of a newer version is refused,
//! because this one would misread it. One of an older version is brought up to date when it is opened.

use std::{path::Path, time::Instant};

use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, params};
use store::{
    table::{Index, null},
    unstarted,
};

use crate::{
    SqliteError,
    index::{self, number},
    item,
    tallies::{self, pending},
};

/// What `PRAGMA application_id` says of our files: "Prct".
const APPLICATION: i64 = 0x5072_6374;

/// The version of the tables, in `PRAGMA user_version`.
///
/// Version 2 has tallies, and 3 the note up to which change they hold all. In version 4 task runs hold their states, which
/// earlier ones look for beside them. Version 5 counts events by the second as well. In version 6 runs have no place in the
/// orders by end and next start while they have no such time, where earlier ones look for all of them. In version 7 flow runs
/// have their places by start time from their start on, and events may stand in the order of time by themselves.
pub(crate) const VERSION: i64 = 7;

/// How large a page is, in bytes; fixed when a file is made.
const PAGE_SIZE: i64 = 4096;

/// A table that the emulator of DynamoDB made, which was the local database before this one.
const OF_THE_EMULATOR: &str = "_stream_records";

/// The tables.
///
/// `keys` are an item's index keys as a JSON object. The columns come in the order in which they are read alone: what
/// is long comes last, for SQLite follows a row only as far as it is asked to.
///
/// `index_entries` holds all secondary indexes: `i` is the index, `p` and `s` its partition and sort key.
///
/// `changes` are what the stream hands out, with the item before and after. Its numbers are never used
/// twice, so that an acknowledged number stays acknowledged: the last row is never deleted, but emptied.
const TABLES: &str = "
CREATE TABLE items (
    id INTEGER PRIMARY KEY,
    pk TEXT NOT NULL,
    sk TEXT NOT NULL,
    version INTEGER NOT NULL,
    announced INTEGER,
    expires INTEGER,
    brief TEXT,
    keys TEXT NOT NULL,
    head TEXT,
    tail TEXT
) STRICT;
CREATE UNIQUE INDEX items_by_key ON items (pk, sk);
CREATE INDEX items_by_expiry ON items (expires) WHERE expires IS NOT NULL;
CREATE TABLE index_entries (
    i INTEGER NOT NULL,
    p TEXT NOT NULL,
    s TEXT NOT NULL,
    item INTEGER NOT NULL,
    PRIMARY KEY (i, p, s, item)
) STRICT, WITHOUT ROWID;
CREATE TABLE changes (
    seq INTEGER PRIMARY KEY,
    pk TEXT NOT NULL,
    sk TEXT NOT NULL,
    old_version INTEGER,
    old_announced INTEGER,
    old_expires INTEGER,
    old_brief TEXT,
    old_keys TEXT,
    old_head TEXT,
    old_tail TEXT,
    new_version INTEGER,
    new_announced INTEGER,
    new_expires INTEGER,
    new_brief TEXT,
    new_keys TEXT,
    new_head TEXT,
    new_tail TEXT
) STRICT;
CREATE TABLE messages (
    id INTEGER PRIMARY KEY,
    body TEXT NOT NULL,
    visible_at REAL NOT NULL,
    receives INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX messages_due ON messages (visible_at);
CREATE TABLE write_probe (id INTEGER PRIMARY KEY, written_at REAL NOT NULL) STRICT;
";

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Nothing is in it yet.
    Empty,
    /// It has our tables, of this version.
    Ours(i64),
}

/// Makes the tables in an empty database, and refuses a file that is not ours or that is newer.
///
/// Nothing of a file that is refused is changed.
pub(crate) fn prepare(connection: &mut Connection, path: Option<&Path>) -> Result<(), SqliteError> {
    if path.is_some() && kind(connection, path)? == Kind::Empty {
        // Both must come before the first table, and outside of a transaction.
        connection.pragma_update(None, "page_size", PAGE_SIZE)?;
        let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
        if mode != "wal" {
            tracing::warn!(mode, "the database's disk takes no write-ahead log, so that reads and writes take turns");
        }
    }
    if kind(connection, path)? == Kind::Empty {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Another process may have come first.
        if kind(&transaction, path)? == Kind::Empty {
            transaction.execute_batch(TABLES)?;
            make_tallies(&transaction)?;
            make_folded(&transaction)?;
            transaction.pragma_update(None, "application_id", APPLICATION)?;
            transaction.pragma_update(None, "user_version", VERSION)?;
        }
        transaction.commit()?;
    }
    match kind(connection, path)? {
        Kind::Ours(version) if version < VERSION => bring_up_to_date(connection, path),
        _ => Ok(()),
    }
}

/// Brings the tables of an older version up to date: all of it or nothing.
fn bring_up_to_date(connection: &mut Connection, path: Option<&Path>) -> Result<(), SqliteError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have come first.
    if let Kind::Ours(version) = kind(&transaction, path)? {
        let began = Instant::now();
        if version < 5 {
            transaction.execute_batch("DROP TABLE IF EXISTS tallies; DROP TABLE IF EXISTS folded")?;
            make_tallies(&transaction)?;
            tallies::fill(&transaction)?;
            make_folded(&transaction)?;
        }
        if version < 6 {
            leave_out(&transaction)?;
        }
        if version < 7 {
            place_anew(&transaction)?;
        }
        transaction.pragma_update(None, "user_version", VERSION)?;
        tracing::info!(
            version,
            to = VERSION,
            seconds = began.elapsed().as_secs_f64(),
            "the database is brought up to date"
        );
    }
    transaction.commit()?;
    Ok(())
}

/// Takes the places away that runs have by end and next start without such a time.
fn leave_out(connection: &Connection) -> Result<(), SqliteError> {
    // What stands for no time comes before every time.
    let (nothing, times) = (null(), "0");
    for (index, runs, all) in [
        (Index::ByEnd, "flow_run", "flow_runs"),
        (Index::ByNextStart, "flow_run", "flow_runs"),
        (Index::ByNextStart, "task_run", "task_runs"),
    ] {
        connection.execute(
            "DELETE FROM index_entries WHERE i = ?1 AND p >= ?2 || '#' AND p < ?2 || '$' AND s >= ?3 AND s < ?4",
            params![number(index), all, nothing, times],
        )?;
        let path = format!("$.{}", index.sort());
        connection.execute(
            "UPDATE items SET keys = json_remove(keys, ?1) WHERE pk >= ?2 || '#' AND pk < ?2 || '$' AND sk = 'run' \
             AND keys ->> ?1 >= ?3 AND keys ->> ?1 < ?4",
            params![path, runs, nothing, times],
        )?;
    }
    Ok(())
}

/// Gives flow runs the places by start time that they have since.
fn place_anew(connection: &Connection) -> Result<(), SqliteError> {
    let mut runs = connection.prepare(
        // In the order of the rows: by their keys, each thousand would be looked for among all of them.
        "SELECT id, keys, head FROM items NOT INDEXED WHERE pk >= 'flow_run#' AND pk < 'flow_run$' AND sk = 'run' \
         AND id > ?1 ORDER BY id LIMIT 1000",
    )?;
    let mut write = connection.prepare("UPDATE items SET keys = ?1 WHERE id = ?2")?;
    let mut last = 0;
    loop {
        let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        let some: Vec<(i64, String, Option<String>)> = runs.query_map([last], read)?.collect::<Result<_, _>>()?;
        let Some((end, ..)) = some.last() else { return Ok(()) };
        last = *end;
        for (id, keys, head) in some {
            let mut before = item::keys(Some(&keys))?;
            let mut after = before.clone();
            unstarted::place_anew(&mut after, head.as_deref().unwrap_or_default());
            if after != before {
                // All orders were keyed by one attribute.
                let all = before.get(&Index::ByTime.partition()).cloned();
                before.extend(all.map(|all| (Index::ByStart.partition(), all)));
                index::update(connection, id, &before, &after)?;
                write.execute(params![item::written_keys(&after)?, id])?;
            }
        }
    }
}

/// Makes the table of tallies.
fn make_tallies(connection: &Connection) -> Result<(), SqliteError> {
    Ok(connection.execute_batch(&format!("CREATE TABLE tallies {}", tallies::COLUMNS))?)
}

/// Makes the note up to which change tallies hold all: they hold all that there are.
fn make_folded(connection: &Connection) -> Result<(), SqliteError> {
    Ok(connection.execute_batch(&format!("{}; {}", pending::TABLE, pending::FOLDED))?)
}

fn kind(connection: &Connection, path: Option<&Path>) -> Result<Kind, SqliteError> {
    let path = || path.unwrap_or_else(|| Path::new(":memory:")).to_owned();
    let number = |pragma: &str| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let application = number("application_id")?;
    if application == APPLICATION {
        let found = number("user_version")?;
        return if found > VERSION {
            Err(SqliteError::Newer { path: path(), found, known: VERSION })
        } else {
            Ok(Kind::Ours(found))
        };
    }
    let table = "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name = ?1 DESC LIMIT 1";
    let table: Option<String> = connection.query_row(table, [OF_THE_EMULATOR], |row| row.get(0)).optional()?;
    match table {
        None if application == 0 => Ok(Kind::Empty),
        Some(table) if table == OF_THE_EMULATOR => Err(SqliteError::Former(path())),
        _ => Err(SqliteError::Foreign(path())),
    }
}
