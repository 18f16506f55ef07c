//! `data-keys`: shows and replaces the keys that the data of blocks is sealed with, locally or on a deployed table.

use clap::{Args, Subcommand};
use common::{
    App, Result,
    blocks::resealing::{self, DataKeyUse},
    model::Timestamp,
};

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

/// Does what `action` says to the data keys of `app`; returns what to print.
///
/// # Errors
/// [`common::Error::Sealed`] if a key is missing, and those of the store.
pub async fn carry_out(app: &App, action: Action) -> Result<String> {
    match action {
        Action::List => {
            let (keys, missing) = resealing::keys_in_use(app).await?;
            let lines = table(&keys);
            match resealing::missing(&missing) {
                None => Ok(lines),
                Some(error) => {
                    println!("{lines}");
                    Err(error)
                }
            }
        }
        Action::Rotate => {
            let (key, resealed) = resealing::renew(app).await?;
            Ok(format!("{key} is in use; {resealed} documents were sealed anew. In an hour: proctor data-keys forget"))
        }
        Action::Forget { lost } => {
            let forgotten =
                if lost { resealing::forget_all(app).await? } else { resealing::forget(app, Timestamp::now()).await? };
            let lines: Vec<String> = forgotten.iter().map(|key| format!("{key} is forgotten")).collect();
            Ok(if lines.is_empty() { "no key is to be forgotten".into() } else { lines.join("\n") })
        }
    }
}

fn table(keys: &[DataKeyUse]) -> String {
    let header = format!("{:36}  {:9}  {:20}  {:9}  WRAPPED BY", "DATA KEY", "IN USE", "CREATED", "DOCUMENTS");
    let row = |of: &DataKeyUse| {
        let created = of.key.created.as_chrono().format("%Y-%m-%dT%H:%M:%SZ");
        let in_use = if of.is_current { "yes" } else { "no" };
        format!("{:36}  {in_use:9}  {created:20}  {:9}  {}", of.key.id, of.documents, of.key.master)
    };
    std::iter::once(header).chain(keys.iter().map(row)).collect::<Vec<_>>().join("\n")
}
