//! What goes wrong with a database of one machine.

use std::{io, path::PathBuf, sync::Arc};

use error::Error;
use rusqlite::ErrorCode;

/// What went wrong with the database; clones tell several waiting writers of one failed commit.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SqliteError {
    /// SQLite refused or failed.
    #[error("{0}")]
    Engine(Arc<rusqlite::Error>),
    /// A file beside the database could not be used.
    #[error("{0}")]
    File(Arc<io::Error>),
    /// Another server has the database open.
    #[error("another server is using the database {}: stop it, or name another directory with --data", .0.display())]
    InUse(PathBuf),
    /// A newer version wrote the file.
    #[error(
        "the database {} was written by a newer version, whose tables are of version {found} and not {known}: start \
         that version, or name another directory with --data",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The version of its tables.
        found: i64,
        /// The version that this program knows.
        known: i64,
    },
    /// A version before this kind of file wrote it.
    #[error(
        "the database {} was written by a version that kept its data otherwise, which this one can't read: start that \
         version, or move the file away, or name another directory with --data",
        .0.display()
    )]
    Former(PathBuf),
    /// The file is none of ours.
    #[error(
        "the file {} is not a database of Proctor: move it away, or name another directory with --data",
        .0.display()
    )]
    Foreign(PathBuf),
    /// The target of a backup is there already.
    #[error("the file {} is there already: name one that is not", .0.display())]
    Exists(PathBuf),
    /// What is stored can't be read.
    #[error("what is stored can't be read: {0}")]
    Malformed(String),
    /// The work on the database panicked; it changed nothing.
    #[error("the work on the database panicked: {0}")]
    Panicked(String),
}

impl From<rusqlite::Error> for SqliteError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Engine(Arc::new(error))
    }
}

impl From<io::Error> for SqliteError {
    fn from(error: io::Error) -> Self {
        Self::File(Arc::new(error))
    }
}

impl SqliteError {
    /// Says whether its text ends with what to do next.
    pub fn names_next_step(&self) -> bool {
        matches!(self, Self::InUse(_) | Self::Newer { .. } | Self::Former(_) | Self::Foreign(_) | Self::Exists(_))
    }

    /// Says whether the same may succeed a while later, such as when a full disk has room again.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Engine(error) => error.sqlite_error_code().is_some_and(|code| PASSING.contains(&code)),
            Self::File(_) | Self::InUse(_) => true,
            _ => false,
        }
    }
}

/// SQLite's codes for what has nothing to do with what was asked.
const PASSING: &[ErrorCode] = &[
    ErrorCode::DatabaseBusy,
    ErrorCode::DatabaseLocked,
    ErrorCode::OutOfMemory,
    ErrorCode::ReadOnly,
    ErrorCode::OperationInterrupted,
    ErrorCode::SystemIoFailure,
    ErrorCode::DiskFull,
    ErrorCode::CannotOpen,
    ErrorCode::FileLockingProtocolFailed,
];

impl From<SqliteError> for Error {
    fn from(error: SqliteError) -> Self {
        if error.is_passing() { Self::Unavailable(error.to_string()) } else { Self::Internal(error.to_string()) }
    }
}
