//! The files of a database, which nobody but their owner may read: parameters, logs and keys' hashes are in them.

use std::{
    io,
    path::{Path, PathBuf},
};

/// What SQLite puts behind a database's name for the files that it keeps beside it.
const SIBLINGS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// Makes the directory `path` and those above it, for the owner alone; leaves one that is there as it is.
///
/// What is there may be anything, such as a home directory, which others have reasons to enter.
///
/// # Errors
/// Those of the file system.
pub fn make_directory(path: &Path) -> io::Result<()> {
    if path.is_dir() { Ok(()) } else { private::make_directory(path) }
}

/// Makes the file of a database if there is none, and takes all rights to its files from everybody but their owner.
///
/// SQLite gives a file that it makes beside a database the database's own mode. A failure here is not the end: where
/// the file can't be used, SQLite says so.
pub fn make_private(database: &Path) {
    private::make_file(database);
    for file in all(database) {
        private::tighten(&file);
    }
}

/// Lets the owner write the files beside a database that was read-only when SQLite made them, and no longer is.
pub fn follow_mode(database: &Path) {
    private::follow_mode(database, &siblings(database));
}

/// Makes the file `path` if there is none, for the owner alone.
pub(crate) fn make_private_file(path: &Path) {
    private::make_file(path);
}

/// Returns the name of a database followed by `suffix`.
pub(crate) fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn siblings(database: &Path) -> Vec<PathBuf> {
    SIBLINGS.iter().map(|suffix| beside(database, suffix)).collect()
}

fn all(database: &Path) -> Vec<PathBuf> {
    let mut files = siblings(database);
    files.push(database.to_owned());
    files
}

#[cfg(unix)]
mod private {
    use std::{
        fs::{self, DirBuilder, OpenOptions, Permissions},
        io,
        os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
        path::{Path, PathBuf},
    };

    const FILE: u32 = 0o600;
    const DIRECTORY: u32 = 0o700;

    pub(super) fn make_directory(path: &Path) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(DIRECTORY).create(path)?;
        // A strange umask takes rights from the owner as well.
        fs::set_permissions(path, Permissions::from_mode(DIRECTORY))
    }

    pub(super) fn make_file(path: &Path) {
        if let Ok(file) = OpenOptions::new().write(true).create_new(true).mode(FILE).open(path) {
            let _ = file.set_permissions(Permissions::from_mode(FILE));
        }
    }

    pub(super) fn tighten(path: &Path) {
        let Some(mode) = mode(path).filter(|mode| mode & !FILE != 0) else { return };
        let file = path.display();
        let (was, is) = (format!("{mode:04o}"), format!("{:04o}", mode & FILE));
        match fs::set_permissions(path, Permissions::from_mode(mode & FILE)) {
            Ok(()) => tracing::warn!(%file, was, is, "others had rights to the file, which were taken from them"),
            Err(error) => tracing::warn!(%file, mode = was, %error, "others have rights to the file"),
        }
    }

    pub(super) fn follow_mode(database: &Path, siblings: &[PathBuf]) {
        let Some(of_database) = mode(database) else { return };
        for file in siblings {
            if mode(file).is_some_and(|mode| mode != of_database) {
                let _ = fs::set_permissions(file, Permissions::from_mode(of_database));
            }
        }
    }

    /// Returns the mode of a file, if it is one.
    fn mode(path: &Path) -> Option<u32> {
        let metadata = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
        Some(metadata.permissions().mode() & 0o7777)
    }
}

/// Elsewhere, a directory hands its own rights to what is made in it.
#[cfg(not(unix))]
mod private {
    use std::{
        fs, io,
        path::{Path, PathBuf},
    };

    pub(super) fn make_directory(path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    pub(super) fn make_file(_path: &Path) {}

    pub(super) fn tighten(_path: &Path) {}

    pub(super) fn follow_mode(_database: &Path, _siblings: &[PathBuf]) {}
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::{fs, fs::Permissions, os::unix::fs::PermissionsExt};

    use uuid::Uuid;

    use super::*;
    use crate::{Database, Mode};

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn nobody_but_the_owner_may_read_what_is_stored() {
        let directory = std::env::temp_dir().join(Uuid::new_v4().to_string());
        make_directory(&directory.join("deeper")).unwrap();
        assert_eq!((mode(&directory), mode(&directory.join("deeper"))), (0o700, 0o700));
        let path = directory.join("proctor.db");
        for loosened in [false, true] {
            if loosened {
                for file in all(&path) {
                    fs::write(&file, []).unwrap();
                    fs::set_permissions(&file, Permissions::from_mode(0o666)).unwrap();
                }
            }
            let database = Database::open(&path, Mode::Serving).unwrap();
            assert!(database.location().is_some());
            for suffix in ["", "-wal", "-shm", "-lock"] {
                let file = beside(&path, suffix);
                assert_eq!(mode(&file), 0o600, "{}", file.display());
            }
        }
        fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn what_others_put_in_the_directory_is_left_alone() {
        let directory = std::env::temp_dir().join(Uuid::new_v4().to_string());
        fs::create_dir(&directory).unwrap();
        fs::set_permissions(&directory, Permissions::from_mode(0o755)).unwrap();
        fs::write(directory.join("notes"), []).unwrap();
        fs::set_permissions(directory.join("notes"), Permissions::from_mode(0o644)).unwrap();
        make_directory(&directory).unwrap();
        let _database = Database::open(&directory.join("proctor.db"), Mode::Serving).unwrap();
        assert_eq!((mode(&directory), mode(&directory.join("notes"))), (0o755, 0o644));
        fs::remove_dir_all(&directory).unwrap();
    }
}
