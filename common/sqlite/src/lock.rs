//! The lock by which a second server notices the first one.
//!
//! It lies on a file of its own: SQLite's locks on the database are for single transactions, and a process that closes
//! any handle of the database's file loses its locks on it. The operating system frees it however the process ends.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::ErrorKind,
    path::Path,
};

use crate::{SqliteError, files};

/// Takes the lock of the server on the database at `path`, for as long as the file is held.
///
/// Where no file can be made, such as on a read-only disk, there is no lock; nobody writes there either.
///
/// # Errors
/// [`SqliteError::InUse`] if another server has it.
pub(crate) fn take(path: &Path) -> Result<Option<File>, SqliteError> {
    let lock_file = files::beside(path, "-lock");
    files::make_private_file(&lock_file);
    let file = match OpenOptions::new().read(true).open(&lock_file) {
        Ok(file) => file,
        Err(error) => {
            tracing::warn!(%error, file = %lock_file.display(), "no lock keeps a second server from the database");
            return Ok(None);
        }
    };
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(SqliteError::InUse(path.to_owned())),
        Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => Ok(None),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}
