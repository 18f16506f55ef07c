//! The thread that moves the write-ahead log into the file, so that no write waits for that.
//!
//! SQLite moves the log while writes go on, but only who finds all of it moved begins it anew: under steady load the
//! log would grow without end. So once it is long, the writer is held for the little that came since, and the log
//! begins anew.

use std::{
    sync::{
        Arc, Condvar, Mutex, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use rusqlite::Connection;

use crate::{
    SqliteError,
    connection::{Location, Purpose},
    writer::Writer,
};

/// After about how many written bytes the log is moved.
const EVERY: usize = 8 * 1024 * 1024;

/// From how many pages on the log is begun anew.
const LONG: i64 = 16_000;

/// From how many pages on the writer is held at once, because it is faster than the disk, and the log's file is cut.
const HUGE: i64 = 32_000;

/// How many pages may be left to move, about, while the writer is held.
const LEFT: i64 = 200;

/// How often the log is moved, at most, before the writer is held whatever is left.
const ROUNDS: usize = 6;

/// How long readers of the log are waited for while the writer is held.
const WAIT_FOR_READERS: Duration = Duration::from_millis(20);

/// How long nothing is tried after a failure, such as on a full disk.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(1);

/// The thread, and what it is told.
#[derive(Debug)]
pub(crate) struct Checkpointer {
    signal: Arc<Signal>,
    thread: Option<JoinHandle<()>>,
}

/// What the thread is told.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    /// About how many bytes were committed since the log was moved.
    committed: AtomicUsize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    is_due: bool,
    is_over: bool,
}

impl Signal {
    /// Notes that about so many bytes were committed.
    pub(crate) fn committed(&self, bytes: usize) {
        if self.committed.fetch_add(bytes, Ordering::Relaxed) + bytes >= EVERY {
            self.committed.store(0, Ordering::Relaxed);
            self.tell(|state| state.is_due = true);
        }
    }

    fn tell(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_one();
    }

    /// Waits until the log is to be moved; returns false at the end.
    fn wait(&self) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_while(state, |state| !state.is_due && !state.is_over);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        state.is_due = false;
        !state.is_over
    }

    /// Sleeps, unless the end comes first.
    fn sleep(&self, time: Duration) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.changed.wait_timeout_while(state, time, |state| !state.is_over));
    }
}

impl Checkpointer {
    /// Starts the thread.
    pub(crate) fn start(location: &Location, writer: Weak<Writer>, signal: Arc<Signal>) -> Result<Self, SqliteError> {
        let connection = connect(location)?;
        let (location, told) = (location.clone(), signal.clone());
        let run = move || run(&location, connection, &writer, &told);
        let thread = std::thread::Builder::new().name("checkpoint".into()).spawn(run)?;
        Ok(Self { signal, thread: Some(thread) })
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.signal.tell(|state| state.is_over = true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn connect(location: &Location) -> Result<Connection, SqliteError> {
    let connection = location.connect(Purpose::Reading)?;
    connection.busy_timeout(WAIT_FOR_READERS)?;
    Ok(connection)
}

fn run(location: &Location, mut connection: Connection, writer: &Weak<Writer>, signal: &Signal) {
    while signal.wait() {
        let Some(writer) = writer.upgrade() else { return };
        let moved = renew(location, &mut connection).and_then(|()| Ok(move_log(&connection, &writer)?));
        drop(writer);
        if let Err(error) = moved {
            tracing::warn!(%error, "the write-ahead log could not be moved into the database's file");
            signal.sleep(PAUSE_AFTER_FAILURE);
        }
    }
}

/// Opens `connection` anew if it was opened on a read-only file.
fn renew(location: &Location, connection: &mut Connection) -> Result<(), SqliteError> {
    if connection.is_readonly("main")? {
        *connection = connect(location)?;
    }
    Ok(())
}

/// What a checkpoint says of the log.
#[derive(Clone, Copy, Debug)]
struct Progress {
    /// How many pages are in the log.
    log: i64,
    /// Whether somebody was in the way.
    is_busy: bool,
}

fn checkpoint(connection: &Connection, mode: &str) -> rusqlite::Result<Progress> {
    connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| {
        Ok(Progress { is_busy: row.get(0)?, log: row.get(1)? })
    })
}

/// Moves the log into the file, and has it begin anew where it is long.
fn move_log(connection: &Connection, writer: &Arc<Writer>) -> rusqlite::Result<()> {
    let mut progress = checkpoint(connection, "PASSIVE")?;
    if progress.log < LONG {
        return Ok(());
    }
    // What comes while the log is moved is found by the next round, which has the less to do.
    for _ in 1..ROUNDS {
        if progress.log >= HUGE {
            break;
        }
        let next = checkpoint(connection, "PASSIVE")?;
        let came = next.log - progress.log;
        progress = next;
        if came <= LEFT {
            break;
        }
    }
    let held = writer.hold();
    let began = Instant::now();
    let mode = if progress.log >= HUGE { "TRUNCATE" } else { "RESTART" };
    let outcome = checkpoint(connection, mode);
    drop(held);
    let Progress { log, is_busy, .. } = outcome?;
    tracing::debug!(log, is_busy, held = ?began.elapsed(), mode, "the write-ahead log was to begin anew");
    Ok(())
}
