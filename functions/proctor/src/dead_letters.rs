//! `dead-letters`: lists work that failed for good, has it tried again, or forgets it; locally or on a deployed table.

use clap::{Args, Subcommand};
use common::{
    Result, Store,
    model::{DeadLetter, DeadLetterId, Timestamp},
    store::select::Window,
};

/// The arguments of `dead-letters`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The deployed table to work on, with the credentials and the region of the environment, in place of the local
    /// database.
    #[arg(long, global = true)]
    pub table: Option<String>,
    /// What is to be done.
    #[command(subcommand)]
    pub action: Action,
}

/// What is done to dead letters.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Lists them, the last put aside first, each with why it failed.
    List {
        /// How many at most.
        #[arg(long, default_value_t = 50)]
        limit: usize,
        /// Prints each as a line of JSON, with its content.
        #[arg(long)]
        json: bool,
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

/// Does what `action` says to the dead letters in `store`; returns what to print.
///
/// # Errors
/// [`common::Error::NotFound`] if there is no such letter, or those of the store.
pub async fn carry_out(store: &Store, action: Action) -> Result<String> {
    match action {
        Action::List { limit, json } => {
            let letters = store.dead_letters(Window { offset: 0, limit }).await?;
            let lines =
                letters.iter().map(|letter| if json { serde_json::to_string(letter) } else { Ok(line(letter)) });
            Ok(lines.collect::<Result<Vec<_>, _>>()?.join("\n"))
        }
        Action::Redrive { id: Some(id) } => Ok(line(&store.redrive_dead_letter(id, Timestamp::now()).await?)),
        Action::Redrive { id: None } => {
            let mut asked = 0;
            loop {
                let letters = store.dead_letters(Window { offset: asked, limit: PAGE }).await?;
                if letters.is_empty() {
                    return Ok(format!("{asked} are tried again"));
                }
                for letter in letters {
                    store.redrive_dead_letter(letter.id, Timestamp::now()).await?;
                    asked += 1;
                }
            }
        }
        Action::Delete { id } => {
            store.delete_dead_letter(id).await?;
            Ok(format!("{id} is forgotten"))
        }
    }
}

fn line(letter: &DeadLetter) -> String {
    let DeadLetter { id, updated, kind, reason, .. } = letter;
    let kind = format!("{kind:?}").to_lowercase();
    format!("{id}  {updated}  {kind:7}  {}", reason.lines().next().unwrap_or_default())
}
