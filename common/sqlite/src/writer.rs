//! The one connection that writes: what waits for it shares a commit.
//!
//! This is group commit without a thread for it. Whoever has something to write queues it, lets the other ready tasks
//! run once, and takes the connection if it is free. Whoever has the connection carries out what is queued, a batch in
//! one transaction of SQLite, and answers all of it once that is committed. So a lone client pays one commit and no hop
//! to another thread, and many share a commit.
//!
//! An error of SQLite or a panic in the middle undoes the batch, and each job of it is done again by itself, so that it
//! harms nobody else. Conditions are checked before anything is written and undo nothing.

use std::{
    any::Any,
    collections::VecDeque,
    ops::{Deref, DerefMut},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError},
};

use rusqlite::Connection;
use tokio::{
    runtime::{Handle, RuntimeFlavor},
    sync::oneshot,
};

use crate::{
    Durability, SqliteError,
    changes::{self, Change, Feed},
    connection::Location,
    tallies::pending::Pending,
    writability::Writability,
};

/// How many jobs share a commit at most.
const LARGEST_BATCH: usize = 64;

/// How many bytes a batch writes about, before it takes no further job.
const HEAVY_BATCH: usize = 1024 * 1024;

/// How many bytes a job writes about, besides what its items have: index entries, and parts of pages.
const OVERHEAD: usize = 8 * 1024;

/// Something that is done in a transaction.
pub(crate) trait Job: Send {
    /// Does it.
    ///
    /// It may be done again from the start after all that it wrote was undone.
    ///
    /// # Errors
    /// Undo what it wrote; what is no fault of the database is an outcome.
    fn run(&mut self, connection: &Connection) -> Result<(), SqliteError>;

    /// Returns about how many bytes it writes.
    fn weight(&self) -> usize;

    /// Takes the changes that it made of items that somebody follows.
    fn changes(&mut self) -> Vec<Change> {
        Vec::new()
    }

    /// Tells whoever waits how it ended.
    fn settle(self: Box<Self>, outcome: Result<(), SqliteError>);
}

/// A job that is a function.
struct Work<T, F> {
    function: F,
    weight: usize,
    outcome: Option<T>,
    reply: oneshot::Sender<Result<T, SqliteError>>,
}

impl<T: Send, F: FnMut(&Connection) -> Result<T, SqliteError> + Send> Job for Work<T, F> {
    fn run(&mut self, connection: &Connection) -> Result<(), SqliteError> {
        self.outcome = Some((self.function)(connection)?);
        Ok(())
    }

    fn weight(&self) -> usize {
        self.weight
    }

    fn settle(self: Box<Self>, outcome: Result<(), SqliteError>) {
        let not_run = || SqliteError::Panicked("it was not done".into());
        let Self { outcome: done, reply, .. } = *self;
        // Whoever gave up waiting wants no answer.
        let _ = reply.send(outcome.and_then(|()| done.ok_or_else(not_run)));
    }
}

/// The queue of what is to be written, and the connection that writes it.
pub(crate) struct Writer {
    connection: Mutex<Connection>,
    queued: Mutex<VecDeque<Box<dyn Job>>>,
    location: Location,
    durability: Durability,
    feed: Arc<Feed>,
    pending: Arc<Pending>,
    writability: Writability,
    /// Told about how many bytes were committed.
    committed: Box<dyn Fn(usize) + Send + Sync>,
}

/// The connection, held; whoever held it does what was queued meanwhile.
pub(crate) struct Held<'w> {
    connection: Option<MutexGuard<'w, Connection>>,
    writer: &'w Arc<Writer>,
}

impl Deref for Held<'_> {
    type Target = Connection;

    #[expect(clippy::expect_used, reason = "it is taken when the guard is dropped alone")]
    fn deref(&self) -> &Connection {
        self.connection.as_ref().expect("the connection is held")
    }
}

impl DerefMut for Held<'_> {
    #[expect(clippy::expect_used, reason = "it is taken when the guard is dropped alone")]
    fn deref_mut(&mut self) -> &mut Connection {
        self.connection.as_mut().expect("the connection is held")
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.connection = None;
        self.writer.advance();
    }
}

/// The turn to do what is queued, taken at its end.
struct Turn<'w>(&'w Arc<Writer>);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.advance();
    }
}

impl Writer {
    pub(crate) fn new(
        connection: Connection,
        location: Location,
        durability: Durability,
        feed: Arc<Feed>,
        pending: Arc<Pending>,
        committed: impl Fn(usize) + Send + Sync + 'static,
    ) -> Self {
        Self {
            connection: Mutex::new(connection),
            queued: Mutex::default(),
            location,
            durability,
            feed,
            pending,
            writability: Writability::default(),
            committed: Box::new(committed),
        }
    }

    /// Returns what the last commits told of the file.
    pub(crate) fn writability(&self) -> &Writability {
        &self.writability
    }

    /// Does `work` in a transaction that it may share with others; it writes about `weight` bytes.
    ///
    /// # Errors
    /// Why nothing of it was written.
    pub(crate) async fn write<T: Send + 'static>(
        self: &Arc<Self>,
        weight: usize,
        work: impl FnMut(&Connection) -> Result<T, SqliteError> + Send + 'static,
    ) -> Result<T, SqliteError> {
        let (reply, answer) = oneshot::channel();
        self.submit(Box::new(Work { function: work, weight, outcome: None, reply })).await;
        answer.await.unwrap_or_else(|_| Err(SqliteError::Panicked("nobody told how it ended".into())))
    }

    /// Queues `job`, and does it if nobody else does.
    ///
    /// The other tasks that are ready come first: what they have to write shares the commit, and who writes again and
    /// again keeps nobody from running.
    pub(crate) async fn submit(self: &Arc<Self>, job: Box<dyn Job>) {
        self.queued().push_back(job);
        // Whoever gives up waiting here leaves no job behind that only a later write would do.
        let turn = Turn(self);
        tokio::task::yield_now().await;
        drop(turn);
    }

    /// Waits for the connection, on this thread, for what is no job.
    pub(crate) fn hold(self: &Arc<Self>) -> Held<'_> {
        Held { connection: Some(self.connection.lock().unwrap_or_else(PoisonError::into_inner)), writer: self }
    }

    /// Does a batch of what is queued, if nobody else has the connection; what is queued then is left to a task of its
    /// own.
    ///
    /// Whoever has the connection looks at the queue once more after giving it back, so nothing is left waiting.
    fn advance(self: &Arc<Self>) {
        if !self.commit_batch() || self.queued().is_empty() {
            return;
        }
        let writer = Arc::clone(self);
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(async move {
                while writer.commit_batch() && !writer.queued().is_empty() {
                    tokio::task::yield_now().await;
                }
            })),
            Err(_) => while writer.commit_batch() && !writer.queued().is_empty() {},
        }
    }

    /// Does a batch of what is queued; returns false if somebody else has the connection.
    fn commit_batch(&self) -> bool {
        let mut connection = match self.connection.try_lock() {
            Ok(connection) => connection,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return false,
        };
        let (batch, weight) = self.next_batch();
        if batch.is_empty() {
            return true;
        }
        if self.durability == Durability::Full || weight >= HEAVY_BATCH {
            aside(|| self.commit(&mut connection, batch, weight));
        } else {
            self.commit(&mut connection, batch, weight);
        }
        true
    }

    /// Takes the jobs that are done together, and about how many bytes they write.
    fn next_batch(&self) -> (Vec<Box<dyn Job>>, usize) {
        let (mut queued, mut batch, mut weight) = (self.queued(), Vec::new(), 0);
        while batch.len() < LARGEST_BATCH
            && weight < HEAVY_BATCH
            && let Some(job) = queued.pop_front()
        {
            weight += job.weight() + OVERHEAD;
            batch.push(job);
        }
        (batch, weight)
    }

    fn commit(&self, connection: &mut Connection, mut batch: Vec<Box<dyn Job>>, weight: usize) {
        match self.attempt(connection, &mut batch) {
            Ok(()) => self.succeed(batch),
            // It may be the fault of one of them, or of the neighbours together.
            Err(Failure::InJob(_)) if batch.len() > 1 => {
                for job in batch {
                    let mut alone = vec![job];
                    match self.attempt(connection, &mut alone) {
                        Ok(()) => self.succeed(alone),
                        Err(Failure::InJob(error) | Failure::Outside(error)) => self.fail(alone, &error),
                    }
                }
            }
            Err(Failure::InJob(error) | Failure::Outside(error)) => self.fail(batch, &error),
        }
        (self.committed)(weight);
    }

    fn succeed(&self, mut batch: Vec<Box<dyn Job>>) {
        let changes = batch.iter_mut().flat_map(|job| job.changes());
        self.feed.push(changes.inspect(|change| self.pending.note(change)));
        for job in batch {
            job.settle(Ok(()));
        }
    }

    fn fail(&self, batch: Vec<Box<dyn Job>>, error: &SqliteError) {
        if error.is_passing() {
            self.writability.note(Err(error));
        }
        for job in batch {
            job.settle(Err(error.clone()));
        }
    }

    /// Does `batch` in one transaction, all of it or nothing.
    fn attempt(&self, connection: &mut Connection, batch: &mut [Box<dyn Job>]) -> Result<(), Failure> {
        self.location.renew(connection).map_err(Failure::Outside)?;
        let before = connection.total_changes();
        let outcome = self.attempt_in(connection, batch);
        // A file that is read-only takes a commit of nothing.
        if outcome.is_ok() && connection.total_changes() > before {
            self.writability.note(Ok(()));
        }
        // SQLite undoes some failures by itself.
        if outcome.is_err()
            && !connection.is_autocommit()
            && let Err(error) = connection.execute_batch("ROLLBACK")
        {
            tracing::error!(%error, "a transaction could not be undone");
        }
        outcome
    }

    fn attempt_in(&self, connection: &Connection, batch: &mut [Box<dyn Job>]) -> Result<(), Failure> {
        let outside = |error: rusqlite::Error| Failure::Outside(error.into());
        connection.prepare_cached("BEGIN IMMEDIATE").and_then(|mut begin| begin.execute([])).map_err(outside)?;
        let folded = self.tidy(connection).map_err(Failure::Outside)?;
        for job in batch {
            catch_unwind(AssertUnwindSafe(|| job.run(connection)))
                .unwrap_or_else(|panic| Err(SqliteError::Panicked(words_of(&*panic))))
                .map_err(Failure::InJob)?;
        }
        connection.prepare_cached("COMMIT").and_then(|mut commit| commit.execute([])).map_err(outside)?;
        if let Some(upto) = folded {
            self.pending.forget(upto);
        }
        Ok(())
    }

    /// Deletes consumed changes and folds tallies, if it is time to; returns up to which change they are folded then.
    fn tidy(&self, connection: &Connection) -> Result<Option<i64>, SqliteError> {
        let consumed = self.feed.due();
        if consumed.is_none() && !self.pending.are_many() {
            return Ok(None);
        }
        // A change that is deleted is in the rows before.
        let folded = self.pending.fold(connection)?;
        if let Some(upto) = consumed {
            changes::delete(connection, upto)?;
        }
        Ok(Some(folded))
    }

    fn queued(&self) -> MutexGuard<'_, VecDeque<Box<dyn Job>>> {
        self.queued.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why nothing of a batch was written.
enum Failure {
    /// A job failed.
    InJob(SqliteError),
    /// The transaction could not be begun or committed.
    Outside(SqliteError),
}

/// Runs what takes long while other tasks go on, where the runtime has other threads for them.
fn aside<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}

/// Returns what a panic said.
fn words_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "without a message".into())
}

#[cfg(test)]
#[allow(clippy::panic, reason = "a job has to panic")]
mod tests {
    use futures::future::join_all;
    use rusqlite::ErrorCode;

    use super::*;
    use crate::{Database, Mode};

    /// What a job of the tests does, besides adding a row.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Then {
        Ends,
        Panics,
        /// Adds the row again, under the same number.
        Clashes,
    }

    async fn write_all(writer: &Arc<Writer>, jobs: &[Then]) -> Vec<Result<i64, SqliteError>> {
        let job = |(number, then): (usize, &Then)| {
            let (number, then) = (i64::try_from(number).unwrap(), *then);
            writer.write(0, move |connection| {
                let insert = || connection.execute("INSERT INTO write_probe VALUES (?1, 0.0)", [number]);
                insert()?;
                match then {
                    Then::Ends => {}
                    Then::Panics => panic!("a fault of ours"),
                    Then::Clashes => drop(insert()?),
                }
                Ok(number)
            })
        };
        join_all(jobs.iter().enumerate().map(job)).await
    }

    fn rows(writer: &Arc<Writer>) -> Vec<i64> {
        let held = writer.hold();
        let mut statement = held.prepare("SELECT id FROM write_probe ORDER BY id").unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    }

    #[tokio::test]
    async fn a_panic_or_an_error_in_the_middle_harms_no_neighbour() {
        let database = Database::in_memory().unwrap();
        let writer = &database.0.writer;
        let outcomes = write_all(writer, &[Then::Ends, Then::Panics, Then::Ends, Then::Clashes, Then::Ends]).await;
        assert!(
            matches!(&outcomes[1], Err(SqliteError::Panicked(words)) if words == "a fault of ours"),
            "{outcomes:?}"
        );
        assert!(matches!(&outcomes[3], Err(SqliteError::Engine(_))), "{outcomes:?}");
        for number in [0, 2, 4] {
            assert_eq!(*outcomes[usize::try_from(number).unwrap()].as_ref().unwrap(), number);
        }
        assert_eq!(rows(writer), [0, 2, 4]);
    }

    #[tokio::test]
    async fn waiting_writes_share_a_commit() {
        let commits = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let (location, counted) = (Location::Memory, commits.clone());
        let connection = location.connect(crate::connection::Purpose::Writing).unwrap();
        connection.execute_batch("CREATE TABLE write_probe (id INTEGER PRIMARY KEY, at)").unwrap();
        let count = move |_| {
            counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        };
        let writer =
            Arc::new(Writer::new(connection, location, Durability::Process, Arc::default(), Arc::default(), count));
        let outcomes = write_all(&writer, &[Then::Ends; 60]).await;
        assert!(outcomes.iter().all(Result::is_ok));
        assert_eq!(commits.load(std::sync::atomic::Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_full_database_takes_writes_again_when_there_is_room() {
        let directory = tempfile::tempdir().unwrap();
        let database = Database::open(&directory.path().join("proctor.db"), Mode::Serving).unwrap();
        let writer = &database.0.writer;
        let room = |pages: i64| {
            let held = writer.hold();
            held.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(())).unwrap();
        };
        let message = || {
            writer.write(0, |connection| {
                Ok(connection
                    .execute("INSERT INTO messages (body, visible_at) VALUES (?1, 0)", ["x".repeat(100_000)])?)
            })
        };
        room(1);
        let error = message().await.unwrap_err();
        assert!(matches!(&error, SqliteError::Engine(error) if error.sqlite_error_code() == Some(ErrorCode::DiskFull)));
        assert!(error.is_passing());
        assert!(crate::writability::check(writer).await.is_err(), "it goes by what the last write told");
        room(1_000_000);
        message().await.unwrap();
        assert!(crate::writability::check(writer).await.is_ok());
    }
}
