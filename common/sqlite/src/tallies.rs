//! Tallies: rows of sums, and the changes that are not in them yet ([`pending`]).
//!
//! What is counted is the store's affair ([`store::tallies`]).

pub(crate) mod pending;

use rusqlite::{Connection, Row, params};
use store::{
    Key,
    tallies::{self, Deltas, Length, Sums, Tallied, TallyKey, TallyRange},
};

use crate::{Database, SqliteError, item};
use pending::Pending;

/// How many rows are changed, at least, before what else is counted is added to them.
const MOST_DELTAS: usize = 20_000;

/// How many rows are mended in one transaction: other writes get their turn in between.
const MENDED_AT_ONCE: usize = 500;

/// About how many bytes it takes to mend a row.
const WEIGHT: usize = 200;

/// The tallies themselves.
const TALLIES: &str = "tallies";

/// What a recount makes, beside the tallies.
const RECOUNTED: &str = "temp.recounted";

/// The columns of a table of tallies, of which the first four are its key.
///
/// A scope is bytes that the store reads; `period` is a number since the epoch, and `cell` is text that the store reads.
pub(crate) const COLUMNS: &str = "(
    length INTEGER NOT NULL,
    scope BLOB NOT NULL,
    period INTEGER NOT NULL,
    cell TEXT NOT NULL,
    runs INTEGER NOT NULL,
    run_time INTEGER NOT NULL,
    lateness INTEGER NOT NULL,
    late INTEGER NOT NULL,
    expected INTEGER NOT NULL,
    PRIMARY KEY (length, scope, period, cell)
) STRICT, WITHOUT ROWID";

/// Adds sums to rows of `table`; a row that comes to nothing is gone.
fn add<'k>(
    connection: &Connection,
    table: &str,
    deltas: impl IntoIterator<Item = (&'k TallyKey, Sums)>,
) -> Result<(), SqliteError> {
    // A sum beyond 64 bits is a float for SQLite, whose cast ends at their edge.
    let sum = |column: &str| format!("{column} = CAST(row.{column} + excluded.{column} AS INTEGER)");
    let sums = ["runs", "run_time", "lateness", "late", "expected"].map(sum).join(", ");
    // What it comes to is not asked for by RETURNING, which makes a table of its own each time.
    let mut change = connection.prepare_cached(&format!(
        "INSERT INTO {table} AS row (length, scope, period, cell, runs, run_time, lateness, late, expected)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
         ON CONFLICT DO UPDATE SET {sums}"
    ))?;
    let mut remove = connection.prepare_cached(&format!(
        "DELETE FROM {table} WHERE length = ?1 AND scope = ?2 AND period = ?3 AND cell = ?4
         AND runs = 0 AND run_time = 0 AND lateness = 0 AND late = 0 AND expected = 0"
    ))?;
    for (TallyKey { length, scope, period, cell }, sums) in deltas {
        let [runs, run_time, lateness, late, expected] = sums.to_array();
        let length = *length as u8;
        change.execute(params![length, scope, period, cell, runs, run_time, lateness, late, expected])?;
        remove.execute(params![length, scope, period, cell])?;
    }
    Ok(())
}

fn each(deltas: &Deltas) -> impl Iterator<Item = (&TallyKey, Sums)> {
    deltas.iter().map(|(key, sums)| (key, *sums))
}

/// Sums up the rows in `ranges`, with what is pending.
pub(crate) fn read(connection: &Connection, pending: &Pending, ranges: &[TallyRange]) -> Result<Tallied, SqliteError> {
    // One moment for the rows and for what is not in them.
    let transaction = connection.unchecked_transaction()?;
    let mut tallied = read_rows(&transaction, ranges)?;
    pending.with_unfolded(&transaction, |unfolded| {
        for range in ranges {
            for (key, sums) in pending::within(unfolded, range) {
                let period = if range.each { key.period } else { range.first };
                tallies::add(&mut tallied.sums, TallyKey { period, ..key.clone() }, sums);
            }
        }
        Ok(())
    })?;
    transaction.commit()?;
    Ok(tallied)
}

fn read_rows(connection: &Connection, ranges: &[TallyRange]) -> Result<Tallied, SqliteError> {
    const SUMS: &str = "cell, runs, run_time, lateness, late, expected, scope, period FROM tallies WHERE length = ?1";
    let mut tallied = Tallied::default();
    for TallyRange { length, scope, first, last, each } in ranges {
        let periods = "AND period BETWEEN ?2 AND ?3";
        let mut statement = match scope {
            Some(_) => connection.prepare_cached(&format!("SELECT {SUMS} AND scope = ?4 {periods}"))?,
            None => connection.prepare_cached(&format!("SELECT {SUMS} {periods}"))?,
        };
        let mut rows = match scope {
            Some(scope) => statement.query(params![*length as u8, first, last, scope])?,
            None => statement.query(params![*length as u8, first, last])?,
        };
        // Few cells come again and again, period by period.
        let mut sums: Vec<(TallyKey, Sums)> = Vec::new();
        while let Some(row) = rows.next()? {
            tallied.rows += 1;
            let (cell, scope) = (row.get_ref(0)?, row.get_ref(6)?);
            let cell = cell.as_str().map_err(rusqlite::Error::from)?;
            let scope = scope.as_blob().map_err(rusqlite::Error::from)?;
            let more = sums_of(row, 1)?;
            let period = if *each { row.get(7)? } else { *first };
            let is_near = |key: &TallyKey| key.scope == scope && key.period == period;
            let mut near = sums.iter_mut().rev().take_while(|(key, _)| is_near(key));
            if let Some((_, sums)) = near.find(|(key, _)| key.cell == cell) {
                *sums = sums.plus(more);
            } else {
                let (scope, cell) = (scope.to_owned(), cell.to_owned());
                sums.push((TallyKey { length: *length, scope, period, cell }, more));
            }
        }
        for (key, more) in sums {
            tallies::add(&mut tallied.sums, key, more);
        }
    }
    Ok(tallied)
}

fn sums_of(row: &Row<'_>, first: usize) -> Result<Sums, rusqlite::Error> {
    let numbers: [rusqlite::Result<i64>; 5] = std::array::from_fn(|place| row.get(first + place));
    let [runs, run_time, lateness, late, expected] = numbers;
    Ok(Sums { runs: runs?, run_time: run_time?, lateness: lateness?, late: late?, expected: expected? })
}

/// Counts all items that there are into the tallies, which are empty.
pub(crate) fn fill(connection: &Connection) -> Result<(), SqliteError> {
    count(connection, TALLIES)
}

/// Counts all items that there are into `table`; one that can't be read is reported and left out.
fn count(connection: &Connection, table: &str) -> Result<(), SqliteError> {
    let mut deltas = Deltas::new();
    for (begins_with, sort) in tallies::FOLLOWED {
        let mut statement = connection.prepare(
            "SELECT pk, sk, version, announced, expires, brief, keys, head, tail FROM items
             WHERE pk >= ?1 AND pk < ?2 AND sk >= ?3 AND sk < ?4",
        )?;
        let [last, last_sort] = [begins_with, sort].map(|start| format!("{start}\u{10FFFF}"));
        let mut rows = statement.query(params![begins_with, last, sort, last_sort])?;
        while let Some(row) = rows.next()? {
            let key = Key { pk: row.get(0)?, sk: row.get(1)? };
            match item::read(row, 2, key.clone()) {
                Ok(item) => tallies::merge(&mut deltas, tallies::deltas(&key, None, Some(&item))),
                Err(error) => tracing::error!(%error, ?key, "an item can't be read and is not counted"),
            }
            if deltas.len() >= MOST_DELTAS {
                add(connection, table, each(&std::mem::take(&mut deltas)))?;
            }
        }
    }
    add(connection, table, each(&deltas))
}

/// Counts all items anew; returns what has to be added to the rows so that they are right, once all is folded.
fn differences(connection: &Connection, pending: &Pending) -> Result<Deltas, SqliteError> {
    // One moment for all that is compared.
    let transaction = connection.unchecked_transaction()?;
    transaction.execute_batch(&format!("DROP TABLE IF EXISTS {RECOUNTED}; CREATE TABLE {RECOUNTED} {COLUMNS}"))?;
    count(&transaction, RECOUNTED)?;
    // What is pending is in the items, and not yet in the rows.
    pending.with_unfolded(&transaction, |unfolded| {
        add(&transaction, RECOUNTED, each(unfolded).map(|(key, sums)| (key, -sums)))
    })?;
    let mut differences = Deltas::new();
    for (table, other, sign) in [(RECOUNTED, TALLIES, 1), (TALLIES, RECOUNTED, -1)] {
        let mut statement = transaction.prepare(&format!("SELECT * FROM {table} EXCEPT SELECT * FROM {other}"))?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let length = match row.get::<_, u8>(0)? {
                0 => Length::Whole,
                1 => Length::Hour,
                2 => Length::Minute,
                _ => Length::Second,
            };
            let key = TallyKey { length, scope: row.get(1)?, period: row.get(2)?, cell: row.get(3)? };
            let sums = sums_of(row, 4)?;
            tallies::add(&mut differences, key, if sign > 0 { sums } else { -sums });
        }
    }
    transaction.execute_batch(&format!("DROP TABLE {RECOUNTED}"))?;
    transaction.commit()?;
    Ok(differences)
}

impl Database {
    /// Counts all items anew, and compares that with the tallies, which are mended if `mends`; returns how many rows differ.
    ///
    /// Writes go on meanwhile: what differed at one moment is what is wrong with the tallies at any other.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn check_tallies(&self, mends: bool) -> Result<usize, SqliteError> {
        let pending = self.0.pending.clone();
        let differences = self.0.read_aside(move |connection| differences(connection, &pending)).await?;
        let count = differences.len();
        let mut left = differences.into_iter().peekable();
        while mends && left.peek().is_some() {
            let some: Deltas = left.by_ref().take(MENDED_AT_ONCE).collect();
            self.0.writer.write(some.len() * WEIGHT, move |connection| add(connection, TALLIES, each(&some))).await?;
        }
        Ok(count)
    }
}
