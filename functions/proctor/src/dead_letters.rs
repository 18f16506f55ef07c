//! `dead-letters`: lists work that failed for good, has it tried again, or forgets it; locally or on a deployed table.

use std::fmt;

use clap::{Args, Subcommand};
use common::{
    Error, Result, Store,
    model::{DeadLetter, DeadLetterId, Timestamp},
    store::select::Window,
};
use serde::Serialize;

use crate::{output::Form, progress::Progress};

/// The arguments of `dead-letters`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The deployed table to work on, with the credentials and the region of the environment, in place of the local
    /// database.
    #[arg(long, global = true)]
    pub table: Option<String>,
    /// How the work and its outcome are shown.
    #[command(flatten)]
    pub form: Form,
    /// What is to be done.
    #[command(subcommand)]
    pub action: Action,
}

/// What is done to dead letters.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Lists them, the last put aside first, each with why it failed; with --json also with its content.
    List {
        /// How many at most.
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// Asks the server to try one again, or all; where that succeeds, it is gone.
    Redrive {
        /// Its id; all without one.
        id: Option<DeadLetterId>,
    },
    /// Forgets one.
    Delete {
        /// Its id.
        id: DeadLetterId,
    },
}

/// How many are read at a time.
const PAGE: usize = 100;

impl Action {
    /// Returns what the action tries, behind "can't".
    pub fn tried(&self) -> &'static str {
        match self {
            Self::List { .. } => "list the dead letters",
            Self::Redrive { id: Some(_) } => "have the dead letter tried again",
            Self::Redrive { id: None } => "have all dead letters tried again",
            Self::Delete { .. } => "delete the dead letter",
        }
    }
}

/// What came of an action.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Report {
    /// Dead letters, with their content.
    Listed(Vec<DeadLetter>),
    /// What the server was asked to try again.
    Redriven {
        /// The letters' ids.
        redriven: Vec<DeadLetterId>,
    },
    /// A letter is gone.
    Deleted {
        /// Its id.
        deleted: DeadLetterId,
    },
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listed(letters) if letters.is_empty() => formatter.write_str("there are no dead letters"),
            Self::Listed(letters) => formatter.write_str(&letters.iter().map(line).collect::<Vec<_>>().join("\n")),
            Self::Redriven { redriven } => match redriven.as_slice() {
                [id] => write!(formatter, "{id} is tried again"),
                several => write!(formatter, "{} are tried again", several.len()),
            },
            Self::Deleted { deleted } => write!(formatter, "{deleted} is forgotten"),
        }
    }
}

/// Does what `action` says to the dead letters in `store`.
///
/// # Errors
/// [`Error::NotFound`] if there is no such letter, or those of the store.
pub async fn carry_out(store: &Store, action: Action, progress: &Progress) -> Result<Report> {
    match action {
        Action::List { limit } => {
            progress.wait("Reading dead letters");
            Ok(Report::Listed(store.dead_letters(Window { offset: 0, limit }).await?))
        }
        Action::Redrive { id: Some(id) } => {
            let letter = store.redrive_dead_letter(id, Timestamp::now()).await?;
            Ok(Report::Redriven { redriven: vec![letter.id] })
        }
        Action::Redrive { id: None } => {
            // All are read first: those that the server has tried again meanwhile move the pages.
            progress.wait("Reading dead letters");
            let mut ids: Vec<DeadLetterId> = Vec::new();
            loop {
                let letters = store.dead_letters(Window { offset: ids.len(), limit: PAGE }).await?;
                if letters.is_empty() {
                    break;
                }
                ids.extend(letters.iter().map(|letter| letter.id));
            }
            progress.count("Asking for another try", "dead letters", Some(ids.len() as u64));
            let mut redriven = Vec::new();
            for id in ids {
                match store.redrive_dead_letter(id, Timestamp::now()).await {
                    Ok(letter) => redriven.push(letter.id),
                    // Somebody deleted it, or it has succeeded already.
                    Err(Error::NotFound(_)) => {}
                    Err(error) => return Err(error),
                }
                progress.add(1);
            }
            Ok(Report::Redriven { redriven })
        }
        Action::Delete { id } => {
            store.delete_dead_letter(id).await?;
            Ok(Report::Deleted { deleted: id })
        }
    }
}

fn line(letter: &DeadLetter) -> String {
    let DeadLetter { id, updated, kind, reason, .. } = letter;
    let kind = format!("{kind:?}").to_lowercase();
    format!("{id}  {updated}  {kind:7}  {}", reason.lines().next().unwrap_or_default())
}
