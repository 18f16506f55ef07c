//! `data-keys`: shows and replaces the keys that the data of blocks is sealed with, locally or on a deployed table.

use std::fmt;

use clap::{Args, Subcommand};
use common::{
    App, Error, Result,
    blocks::resealing::{self, DataKeyUse},
    model::{DataKeyId, Timestamp},
};
use serde::Serialize;

use crate::{output::Form, progress::Progress};

/// The arguments of `data-keys`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The deployed table to work on, with the credentials and the region of the environment, in place of the local
    /// database. It takes the right to use the master key.
    #[arg(long, global = true)]
    pub table: Option<String>,
    /// The ARN of the master key in KMS that wraps the keys of the deployed table.
    #[arg(long, env = "PROCTOR_SECRETS_KEY", global = true)]
    pub secrets_key: Option<String>,
    /// How the work and its outcome are shown.
    #[command(flatten)]
    pub form: Form,
    /// What is to be done.
    #[command(subcommand)]
    pub action: Action,
}

/// What is done to data keys.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum Action {
    /// Lists all data keys, with how many documents are sealed with each.
    List,
    /// Puts a new key in use, and seals every document with it; locally with a new key in the key file as well.
    Rotate,
    /// Forgets the keys that nothing is sealed with and that are out of use for an hour.
    Forget {
        /// Forgets all of them, where nothing is sealed any more because the master key is lost; no server may run then.
        #[arg(long)]
        lost: bool,
    },
}

impl Action {
    /// Returns what the action tries, behind "can't".
    pub fn tried(self) -> &'static str {
        match self {
            Self::List => "list the data keys",
            Self::Rotate => "replace the data key",
            Self::Forget { .. } => "forget data keys",
        }
    }
}

/// What came of an action.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Report {
    /// All keys, and those that are missing with which documents are sealed.
    Listed {
        /// The keys there are.
        keys: Vec<Known>,
        /// The keys there are not.
        missing: Vec<Missing>,
    },
    /// A new key is in use.
    Rotated {
        /// The new key.
        in_use: DataKeyId,
        /// How many documents were sealed with it.
        resealed: u64,
    },
    /// Keys are gone.
    Forgotten {
        /// These.
        forgotten: Vec<DataKeyId>,
    },
}

/// What is known of a data key, without the key.
#[derive(Debug, Serialize)]
pub struct Known {
    id: DataKeyId,
    is_in_use: bool,
    created: Timestamp,
    documents: u64,
    wrapped_by: String,
}

/// A data key that is missing.
#[derive(Debug, Serialize)]
pub struct Missing {
    id: DataKeyId,
    documents: u64,
}

impl Known {
    fn of(of: DataKeyUse) -> Self {
        let DataKeyUse { key, is_current, documents } = of;
        Self { id: key.id, is_in_use: is_current, created: key.created, documents, wrapped_by: key.master }
    }
}

impl Report {
    /// Returns which keys are missing with which documents are sealed, if any are.
    pub fn missing(&self) -> Option<Error> {
        match self {
            Self::Listed { missing, .. } => {
                resealing::missing(&missing.iter().map(|missing| (missing.id, missing.documents)).collect())
            }
            _ => None,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listed { keys, .. } => formatter.write_str(&table(keys)),
            Self::Rotated { in_use, resealed } => {
                write!(formatter, "{in_use} is in use; {resealed} documents were sealed anew. ")?;
                formatter.write_str("In an hour: proctor data-keys forget")
            }
            Self::Forgotten { forgotten } if forgotten.is_empty() => formatter.write_str("no key is to be forgotten"),
            Self::Forgotten { forgotten } => {
                let lines: Vec<String> = forgotten.iter().map(|key| format!("{key} is forgotten")).collect();
                formatter.write_str(&lines.join("\n"))
            }
        }
    }
}

/// Does what `action` says to the data keys of `app`.
///
/// # Errors
/// [`Error::Sealed`] if a key is missing for it, and those of the store.
pub async fn carry_out(app: &App, action: Action, progress: &Progress) -> Result<Report> {
    match action {
        Action::List => {
            progress.wait("Counting the documents of each key");
            let (keys, missing) = resealing::keys_in_use(app).await?;
            let missing = missing.into_iter().map(|(id, documents)| Missing { id, documents }).collect();
            Ok(Report::Listed { keys: keys.into_iter().map(Known::of).collect(), missing })
        }
        Action::Rotate => {
            progress.count("Sealing anew", "documents", None);
            let (in_use, resealed) = resealing::renew(app, || progress.add(1)).await?;
            Ok(Report::Rotated { in_use, resealed })
        }
        Action::Forget { lost } => {
            progress.wait("Looking for keys that nothing is sealed with");
            let forgotten =
                if lost { resealing::forget_all(app).await? } else { resealing::forget(app, Timestamp::now()).await? };
            Ok(Report::Forgotten { forgotten })
        }
    }
}

fn table(keys: &[Known]) -> String {
    let header = format!("{:36}  {:9}  {:20}  {:9}  WRAPPED BY", "DATA KEY", "IN USE", "CREATED", "DOCUMENTS");
    let row = |key: &Known| {
        let Known { id, is_in_use, created, documents, wrapped_by } = key;
        let created = created.as_chrono().format("%Y-%m-%dT%H:%M:%SZ");
        let in_use = if *is_in_use { "yes" } else { "no" };
        format!("{id:36}  {in_use:9}  {created:20}  {documents:9}  {wrapped_by}")
    };
    std::iter::once(header).chain(keys.iter().map(row)).collect::<Vec<_>>().join("\n")
}
