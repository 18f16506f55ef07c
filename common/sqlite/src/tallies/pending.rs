//! What the rows of tallies do not hold yet: the changes since the last fold.
//!
//! Each change of an item is written in the transaction of the change, for the stream. It is counted from then on,
//! because whoever reads tallies adds to the rows what the changes since the last fold come to. A fold adds those to the
//! rows, where many changes of one row are one. What is remembered here only saves to read the changes anew: a process
//! that dies loses no count.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rusqlite::Connection;
use store::tallies::{self, Deltas, Sums, TallyKey, TallyRange};

use super::{TALLIES, add};
use crate::{
    SqliteError,
    changes::{self, Change},
};

/// After how many changes they are folded, at the latest.
const MOST_CHANGES: usize = 128;

/// The table that says up to which change the rows hold all, in its only row.
pub(crate) const TABLE: &str = "CREATE TABLE folded (upto INTEGER NOT NULL) STRICT";

/// Notes that the rows hold all changes that there are.
pub(crate) const FOLDED: &str = "INSERT INTO folded SELECT ifnull(max(seq), 0) FROM changes";

/// How each change that was committed since the last fold changes tallies, by the change's number.
#[derive(Debug, Default)]
pub(crate) struct Pending(Mutex<BTreeMap<i64, Arc<Deltas>>>);

impl Pending {
    /// Remembers a change that was committed.
    pub(crate) fn note(&self, change: &Change) {
        let deltas = tallies::deltas(&change.key, change.before.as_ref(), change.after.as_ref());
        self.changes().insert(change.number(), Arc::new(deltas));
    }

    /// Says whether it is time for a fold.
    pub(crate) fn are_many(&self) -> bool {
        self.changes().len() >= MOST_CHANGES
    }

    /// Forgets the changes up to a number, whose fold was committed.
    pub(crate) fn forget(&self, upto: i64) {
        let mut changes = self.changes();
        *changes = changes.split_off(&upto.saturating_add(1));
    }

    /// Adds to the rows all that is not in them; returns the number of the last change that is in them now.
    pub(crate) fn fold(&self, connection: &Connection) -> Result<i64, SqliteError> {
        let after = folded(connection)?;
        let unfolded = self.since(connection, after)?;
        let Some(upto) = unfolded.last().map(|(number, _)| *number) else { return Ok(after) };
        add(connection, TALLIES, sum(&unfolded))?;
        connection.prepare_cached("UPDATE folded SET upto = ?1")?.execute([upto])?;
        Ok(upto)
    }

    /// Returns what is not in the rows, as the transaction of `connection` sees both.
    pub(crate) fn unfolded(&self, connection: &Connection) -> Result<Vec<(i64, Arc<Deltas>)>, SqliteError> {
        self.since(connection, folded(connection)?)
    }

    /// Returns what the changes after a number come to, in their order.
    fn since(&self, connection: &Connection, after: i64) -> Result<Vec<(i64, Arc<Deltas>)>, SqliteError> {
        let numbers = changes::numbers(connection, after)?;
        let deltas = |number| Ok((number, self.of(connection, number)?));
        numbers.into_iter().map(deltas).collect()
    }

    /// Returns what the change with a number comes to, from memory if this process made it.
    fn of(&self, connection: &Connection, number: i64) -> Result<Arc<Deltas>, SqliteError> {
        if let Some(deltas) = self.changes().get(&number) {
            return Ok(deltas.clone());
        }
        let change = changes::find(connection, number)?;
        let deltas =
            change.map(|Change { key, before, after, .. }| tallies::deltas(&key, before.as_ref(), after.as_ref()));
        Ok(Arc::new(deltas.unwrap_or_default()))
    }

    fn changes(&self) -> MutexGuard<'_, BTreeMap<i64, Arc<Deltas>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns up to which change the rows hold all.
fn folded(connection: &Connection) -> Result<i64, SqliteError> {
    Ok(connection.prepare_cached("SELECT upto FROM folded")?.query_row([], |row| row.get(0))?)
}

/// Sums up what changes come to, row by row.
pub(crate) fn sum(changes: &[(i64, Arc<Deltas>)]) -> BTreeMap<&TallyKey, Sums> {
    let mut sums = BTreeMap::new();
    for (key, more) in changes.iter().flat_map(|(_, deltas)| deltas.iter()) {
        tallies::add(&mut sums, key, *more);
    }
    sums
}

/// Returns the rows of `range` among `sums`.
pub(crate) fn within<'s>(
    sums: &'s BTreeMap<&TallyKey, Sums>,
    range: &'s TallyRange,
) -> impl Iterator<Item = (&'s TallyKey, Sums)> {
    let TallyRange { length, scope, first, last, .. } = range;
    let (start, scope) = (scope.clone().unwrap_or_default(), scope.as_deref());
    let start = TallyKey { length: *length, scope: start, period: i64::MIN, cell: String::new() };
    let here = move |key: &TallyKey| key.length == *length && scope.is_none_or(|scope| key.scope == scope);
    let rows = sums.range::<TallyKey, _>(start..).take_while(move |(key, _)| here(key));
    rows.filter(move |(key, _)| (*first..=*last).contains(&key.period)).map(|(key, sums)| (*key, *sums))
}
