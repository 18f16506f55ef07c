//! Why the program ends without having done what it was asked: what was tried, why that failed, and what mends it.

use std::{io, path::PathBuf};

use common::Error;

use crate::{assets, database::DatabaseError};
use sqlite::SqliteError;

/// Why the program ends with another exit code than 0.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Somebody else has the port.
    #[error(
        "can't listen on port {port} of {host}: another server listens there. Stop it, or choose another port with {option}"
    )]
    PortInUse {
        /// Where the server would listen.
        host: String,
        /// The port.
        port: u16,
        /// The option that names the port.
        option: &'static str,
    },
    /// The operating system refuses the address or the port.
    #[error(
        "can't listen on {host}:{port}: {reason}. Choose an address of this machine with --host, and a port that this \
         user may have with {option}"
    )]
    Listen {
        /// Where the server would listen.
        host: String,
        /// The port.
        port: u16,
        /// The option that names the port.
        option: &'static str,
        /// What the operating system says.
        reason: io::Error,
    },
    /// The command works on a database that no other process sees.
    #[error("can't work on a database in memory: it ends with this command. Leave --in-memory out")]
    NothingLasts,
    /// A variable of the environment can't be understood.
    #[error("can't read the settings: {}. Correct that variable, or unset it for its default", sentence(.0))]
    Settings(Error),
    /// The directory of the database can't be made or used.
    #[error(
        "can't use the directory {path} for the database: {1}. Choose one that this user may write, with --data",
        path = .0.display()
    )]
    Directory(PathBuf, io::Error),
    /// The file of the database can't be opened.
    #[error(
        "can't open the database {path}: {reason}. Put back a copy of the file, or choose another directory with --data",
        path = .0.display(), reason = sentence(.1)
    )]
    File(PathBuf, DatabaseError),
    /// Another server has the database, or another program or version has written it.
    #[error("can't open the database: {}", sentence(.0))]
    Refused(SqliteError),
    /// The database can't be copied.
    #[error("can't copy the database: {}. Choose a file on a disk with room that this user may write", sentence(.0))]
    Backup(SqliteError),
    /// A database in memory can't be made, or what follows from its changes can't be read.
    #[error("can't start the database: {}. Check that memory and disk have room, and start again", sentence(.0))]
    Database(#[from] DatabaseError),
    /// What was tried failed in the store, the vault or the settings.
    #[error("can't {tried}: {}. {next}", sentence(.error))]
    Work {
        /// What was tried, behind "can't".
        tried: &'static str,
        /// Why it failed.
        error: Error,
        /// What mends it, as a sentence.
        next: String,
    },
    /// Data keys are missing, which a list of keys has shown.
    #[error("not every block can be read: {}. {next}", sentence(.error))]
    KeysMissing {
        /// Which ones.
        error: Error,
        /// What mends it, as a sentence.
        next: String,
    },
    /// A check found something wrong that it has not mended.
    #[error("can't use {left} items of the database as they are: {}", .next)]
    NotWell {
        /// How many items.
        left: u64,
        /// Where they are named, and what mends them.
        next: &'static str,
    },
    /// The file of the database is not sound.
    #[error("can't rely on the database {}: its file is damaged. Put back a copy that `proctor backup` has made", .0.display())]
    Damaged(PathBuf),
    /// There is no folder of what Prefect ships as data.
    #[error(transparent)]
    Assets(#[from] assets::Failure),
    /// Standard output can't be written.
    #[error("can't write to standard output: {0}. Make room there or choose another file, and repeat the command")]
    Output(io::Error),
    /// The only time that a key is shown has passed.
    #[error("can't print the new key: {1}. Revoke it with `proctor keys revoke {0}`, and make another one")]
    KeyUnseen(String, io::Error),
    /// The operating system refuses what any server needs.
    #[error("can't start: {0}. Check the limits of processes, threads and open files (`ulimit -a`), and start again")]
    System(io::Error),
}

/// The exit code of what failed.
const FAILED: u8 = 1;

/// The exit code of a command line or a setting that can't be understood; clap ends with it as well.
const MISUSE: u8 = 2;

impl Failure {
    /// Returns the exit code of the program.
    pub fn exit_code(&self) -> u8 {
        if matches!(self, Self::NothingLasts | Self::Settings(_)) { MISUSE } else { FAILED }
    }
}

/// Returns the text of an error so that another sentence can follow it.
fn sentence(error: &impl ToString) -> String {
    let text = error.to_string();
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").trim_end_matches(['.', ':']).to_owned()
}

/// Where a command works: what it can't do is mended there.
#[derive(Clone, Debug)]
pub enum Place {
    /// The database in this directory, whose blocks are sealed with a key in this file.
    Local {
        /// The directory.
        data: PathBuf,
        /// The file.
        key_file: PathBuf,
    },
    /// The deployed table of this name.
    Table(String),
}

impl Place {
    /// Says that what was `tried` failed here, and what mends it.
    pub fn failed(&self, tried: &'static str, error: Error) -> Failure {
        let next = self.next(tried, &error);
        Failure::Work { tried, error, next }
    }

    /// Returns the next step after `error`, as a sentence.
    pub fn next(&self, tried: &'static str, error: &Error) -> String {
        match (error, self) {
            (Error::NotFound(_), _) if tried.contains("API key") => "`proctor keys list` shows those there are".into(),
            (Error::NotFound(_), _) => "`proctor dead-letters list` shows those there are".into(),
            (Error::Conflict(_), _) => "Then repeat the command".into(),
            (Error::Sealed(_), Self::Local { key_file, .. }) => format!(
                "Put back the key file {} that has the key, with the mode 600, or name that file with --key-file",
                key_file.display()
            ),
            (Error::Sealed(_), Self::Table(_)) => {
                "Name the KMS key of the deployment with --secrets-key, and use credentials that may decrypt with it"
                    .into()
            }
            (Error::Unreadable(_), _) => "`proctor check` names what can't be read".into(),
            (Error::Unavailable(_), Self::Table(_)) => {
                "Check the credentials (AWS_PROFILE), the region (AWS_REGION) and the network, and repeat the command"
                    .into()
            }
            (_, Self::Table(table)) => format!(
                "Check that the table {table} is in the region (AWS_REGION), and that the credentials (AWS_PROFILE) may use it"
            ),
            (_, Self::Local { data, .. }) => {
                format!("Check that {} can be written and its disk has room, and repeat the command", data.display())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_s_text_becomes_part_of_a_sentence() {
        assert_eq!(sentence(&"no credentials.\n  Attempted:\n"), "no credentials. Attempted");
        assert_eq!(sentence(&"the file is gone..."), "the file is gone");
    }

    #[test]
    fn every_failure_of_a_place_has_a_next_step() {
        let local = Place::Local { data: "/data".into(), key_file: "/keys/proctor.key".into() };
        let table = Place::Table("records".into());
        for (place, error, step) in [
            (&local, Error::Sealed("the key is missing".into()), "/keys/proctor.key"),
            (&table, Error::Sealed("the key is missing".into()), "--secrets-key"),
            (&local, Error::Unavailable("the disk is full".into()), "/data"),
            (&table, Error::Unavailable("no route".into()), "AWS_REGION"),
            (&table, Error::Internal("AccessDeniedException: no".into()), "records"),
            (&local, Error::Unreadable("no JSON".into()), "`proctor check`"),
            (&local, Error::missing("api-key"), "`proctor keys list`"),
        ] {
            let told = place.failed("list the API keys", error.clone()).to_string();
            assert!(told.starts_with("can't list the API keys: ") && told.contains(step), "{told}");
            assert!(!told.contains(".."), "{told}");
        }
        let letter = local.failed("delete the dead letter", Error::missing("dead-letter")).to_string();
        assert!(letter.contains("`proctor dead-letters list`"), "{letter}");
    }

    #[test]
    fn misuse_has_an_exit_code_of_its_own() {
        assert_eq!(Failure::NothingLasts.exit_code(), 2);
        assert_eq!(Failure::Settings(Error::Internal("x can't be read".into())).exit_code(), 2);
        assert_eq!(Failure::System(io::ErrorKind::OutOfMemory.into()).exit_code(), 1);
    }
}
