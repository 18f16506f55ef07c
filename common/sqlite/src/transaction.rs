//! Writes of items: all conditions are checked before the first write, so that a refused one undoes nothing.

use rusqlite::{Connection, params};
use store::{CommitError, Item, Key, Write, table::Subject};
use tokio::sync::oneshot;

use crate::{
    SqliteError,
    changes::{self, Change},
    index,
    item::{self, Stored},
    writer::Job,
};

/// Writes that are carried out together or not at all.
pub(crate) struct Transaction {
    writes: Vec<Write>,
    weight: usize,
    outcome: Outcome,
    reply: oneshot::Sender<Result<(), CommitError>>,
}

enum Outcome {
    /// The write at this place met an item that contradicts its condition.
    ConditionFailed(usize),
    /// All are carried out; for each that somebody follows, the number of its change and what was there before.
    Done(Vec<Option<(i64, Option<Item>)>>),
}

impl Transaction {
    pub(crate) fn new(writes: Vec<Write>, weight: usize, reply: oneshot::Sender<Result<(), CommitError>>) -> Self {
        Self { writes, weight, outcome: Outcome::Done(Vec::new()), reply }
    }
}

impl Job for Transaction {
    fn run(&mut self, connection: &Connection) -> Result<(), SqliteError> {
        let mut found = Vec::with_capacity(self.writes.len());
        for (place, write) in self.writes.iter().enumerate() {
            let stored = item::find(connection, key(write))?;
            if !is_met(write, stored.as_ref()) {
                self.outcome = Outcome::ConditionFailed(place);
                return Ok(());
            }
            found.push(stored);
        }
        let done = self.writes.iter().zip(found).map(|(write, stored)| carry_out(connection, write, stored));
        self.outcome = Outcome::Done(done.collect::<Result<_, _>>()?);
        Ok(())
    }

    fn weight(&self) -> usize {
        self.weight
    }

    fn changes(&mut self) -> Vec<Change> {
        let Outcome::Done(done) = &mut self.outcome else { return Vec::new() };
        let followed = std::mem::take(&mut self.writes).into_iter().zip(std::mem::take(done));
        let change = |(write, followed): (Write, Option<(i64, Option<Item>)>)| {
            let (number, before) = followed?;
            let (key, after) = match write {
                Write::Insert(item) | Write::Replace(item) | Write::Put(item) => (item.key.clone(), Some(item)),
                Write::Delete(key) | Write::DeleteVersion(key, _) => (key, None),
            };
            Some(Change::new(number, key, before, after))
        };
        followed.filter_map(change).collect()
    }

    fn settle(self: Box<Self>, outcome: Result<(), SqliteError>) {
        let answer = match (outcome, self.outcome) {
            (Err(error), _) => Err(CommitError::Failed(error.into())),
            (Ok(()), Outcome::ConditionFailed(place)) => Err(CommitError::ConditionFailed(place)),
            (Ok(()), Outcome::Done(_)) => Ok(()),
        };
        // Whoever gave up waiting wants no answer.
        let _ = self.reply.send(answer);
    }
}

/// Returns the key of the item that `write` touches.
fn key(write: &Write) -> &Key {
    match write {
        Write::Insert(item) | Write::Replace(item) | Write::Put(item) => &item.key,
        Write::Delete(key) | Write::DeleteVersion(key, _) => key,
    }
}

/// Returns the item that `write` leaves.
fn after(write: &Write) -> Option<&Item> {
    match write {
        Write::Insert(item) | Write::Replace(item) | Write::Put(item) => Some(item),
        Write::Delete(_) | Write::DeleteVersion(..) => None,
    }
}

fn is_met(write: &Write, stored: Option<&Stored>) -> bool {
    let is_version = |version: u64| stored.is_some_and(|stored| stored.item.version == version);
    match write {
        Write::Insert(_) => stored.is_none(),
        Write::Replace(item) => is_version(item.version.saturating_sub(1)),
        Write::DeleteVersion(_, version) => is_version(*version),
        Write::Put(_) | Write::Delete(_) => true,
    }
}

/// Carries out a write that met `stored`; returns the number of its change and what was there, if somebody follows the
/// item.
///
/// A write that changes nothing is none, and makes no change, as in DynamoDB.
fn carry_out(
    connection: &Connection,
    write: &Write,
    stored: Option<Stored>,
) -> Result<Option<(i64, Option<Item>)>, SqliteError> {
    let after = after(write);
    let (id, before) = stored.map_or((None, None), |stored| (Some(stored.id), Some(stored.item)));
    if before.as_ref() == after {
        return Ok(None);
    }
    match (id, after) {
        (Some(id), Some(after)) => replace(connection, id, before.as_ref(), after)?,
        (None, Some(after)) => insert(connection, after)?,
        (Some(id), None) => remove(connection, id, before.as_ref())?,
        (None, None) => {}
    }
    note(connection, key(write), before, after)
}

/// Writes down the change of an item if somebody follows it; returns its number and what was there.
fn note(
    connection: &Connection,
    key: &Key,
    before: Option<Item>,
    after: Option<&Item>,
) -> Result<Option<(i64, Option<Item>)>, SqliteError> {
    if Subject::of(key).is_none() {
        return Ok(None);
    }
    let number = changes::write(connection, key, before.as_ref(), after)?;
    Ok(Some((number, before)))
}

fn insert(connection: &Connection, item: &Item) -> Result<(), SqliteError> {
    let id = connection
        .prepare_cached(
            "INSERT INTO items (pk, sk, version, announced, expires, brief, keys, head, tail)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .insert(params![
            item.key.pk,
            item.key.sk,
            item::number(item.version),
            item.announced.map(item::number),
            item.expires,
            item.brief,
            item::written_keys(&item.index_keys)?,
            item.head,
            item.tail,
        ])?;
    index::update(connection, id, &index::Keys::new(), &item.index_keys)
}

fn replace(connection: &Connection, id: i64, before: Option<&Item>, item: &Item) -> Result<(), SqliteError> {
    connection
        .prepare_cached(
            "UPDATE items SET version = ?2, announced = ?3, expires = ?4, brief = ?5, keys = ?6, head = ?7, tail = ?8
             WHERE id = ?1",
        )?
        .execute(params![
            id,
            item::number(item.version),
            item.announced.map(item::number),
            item.expires,
            item.brief,
            item::written_keys(&item.index_keys)?,
            item.head,
            item.tail,
        ])?;
    let none = index::Keys::new();
    index::update(connection, id, before.map_or(&none, |before| &before.index_keys), &item.index_keys)
}

fn remove(connection: &Connection, id: i64, before: Option<&Item>) -> Result<(), SqliteError> {
    connection.prepare_cached("DELETE FROM items WHERE id = ?1")?.execute([id])?;
    let none = index::Keys::new();
    index::update(connection, id, before.map_or(&none, |before| &before.index_keys), &none)
}

/// Deletes an item that was found; returns its change if somebody follows it.
pub(crate) fn delete(connection: &Connection, stored: Stored) -> Result<Option<Change>, SqliteError> {
    remove(connection, stored.id, Some(&stored.item))?;
    let key = stored.item.key.clone();
    let noted = note(connection, &key, Some(stored.item), None)?;
    Ok(noted.map(|(number, before)| Change::new(number, key, before, None)))
}
