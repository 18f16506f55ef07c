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

use rusqlite::{Connection, TransactionBehavior};
use store::tallies::{self, Deltas, Sums, TallyKey, TallyRange};

use super::{TALLIES, add, each};
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

/// What was committed since the last fold.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    /// How each change changes tallies, by the change's number.
    changes: Mutex<BTreeMap<i64, Arc<Deltas>>>,
    /// The sums that were asked for last.
    sums: Mutex<Unfolded>,
}

/// What changes come to that are not in the rows.
#[derive(Debug, Default)]
struct Unfolded {
    /// The number up to which changes are in the rows.
    after: i64,
    /// The number of the last change that is summed up here.
    last: i64,
    sums: Deltas,
}

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
        let mut unfolded = Unfolded::after(folded(connection)?);
        self.extend(connection, &mut unfolded)?;
        if unfolded.last > unfolded.after {
            add(connection, TALLIES, each(&unfolded.sums))?;
            connection.prepare_cached("UPDATE folded SET upto = ?1")?.execute([unfolded.last])?;
        }
        Ok(unfolded.last)
    }

    /// Folds what a process left behind, which would be read anew for each question.
    pub(crate) fn fold_what_is_left(&self, connection: &mut Connection) -> Result<(), SqliteError> {
        if folded(connection)? < changes::last(connection)? {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            self.fold(&transaction)?;
            transaction.commit()?;
        }
        Ok(())
    }

    /// Calls `look` with the sums of all that is not in the rows, as the transaction of `connection` sees both.
    pub(crate) fn with_unfolded<T>(
        &self,
        connection: &Connection,
        look: impl FnOnce(&Deltas) -> Result<T, SqliteError>,
    ) -> Result<T, SqliteError> {
        let (after, last) = (folded(connection)?, changes::last(connection)?);
        let mut kept = self.sums.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.after > after || kept.last > last {
            // Somebody else looks at a later moment.
            drop(kept);
            let mut own = Unfolded::after(after);
            self.extend(connection, &mut own)?;
            return look(&own.sums);
        }
        if kept.after < after {
            *kept = Unfolded::after(after);
        }
        self.extend(connection, &mut kept)?;
        look(&kept.sums)
    }

    /// Adds the changes that came after the last one that is summed up, as the transaction of `connection` sees them.
    fn extend(&self, connection: &Connection, unfolded: &mut Unfolded) -> Result<(), SqliteError> {
        for number in changes::numbers(connection, unfolded.last)? {
            for (key, more) in self.of(connection, number)?.iter() {
                tallies::add(&mut unfolded.sums, key.clone(), *more);
            }
            unfolded.last = number;
        }
        Ok(())
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
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns up to which change the rows hold all.
fn folded(connection: &Connection) -> Result<i64, SqliteError> {
    Ok(connection.prepare_cached("SELECT upto FROM folded")?.query_row([], |row| row.get(0))?)
}

impl Unfolded {
    /// Returns nothing yet of what came after the change with a number.
    fn after(number: i64) -> Self {
        Self { after: number, last: number, sums: Deltas::new() }
    }
}

/// Returns the rows of `range` among `sums`.
pub(crate) fn within<'s>(sums: &'s Deltas, range: &'s TallyRange) -> impl Iterator<Item = (&'s TallyKey, Sums)> {
    let TallyRange { length, scope, first, last, .. } = range;
    let start = TallyKey {
        length: *length,
        scope: scope.clone().unwrap_or_default(),
        period: if scope.is_some() { *first } else { i64::MIN },
        cell: String::new(),
    };
    let is_near = move |key: &TallyKey| {
        let is_of_scope = |scope: &Vec<u8>| key.scope == *scope && key.period <= *last;
        key.length == *length && scope.as_ref().is_none_or(is_of_scope)
    };
    let rows = sums.range(start..).take_while(move |(key, _)| is_near(key));
    rows.filter(move |(key, _)| (*first..=*last).contains(&key.period)).map(|(key, sums)| (key, *sums))
}
