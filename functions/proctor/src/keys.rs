//! `keys`: makes, lists, expires and revokes API keys, on the local database or on a deployed table.

use std::{fmt, str::FromStr, time::Duration};

use clap::{
    Args, Subcommand,
    builder::{PossibleValuesParser, TypedValueParser},
};
use common::{
    Error, Result, Store,
    domain::access::{Role, key},
    model::{ApiKey, ApiKeyId, Timestamp},
};
use serde::Serialize;

use crate::output::Form;

/// The arguments of `keys`.
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

/// What is done to keys.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Makes a key and prints it, for the only time.
    Create {
        /// What its holder may do.
        #[arg(long, value_parser = PossibleValuesParser::new(Role::ALL.map(Role::name)).try_map(|name| name.parse::<Role>()))]
        role: Role,
        /// What to call the key.
        #[arg(long)]
        name: String,
        /// How long it works, such as 90d, 12h or 30m; without, until it is revoked.
        #[arg(long)]
        expires_in: Option<Lifetime>,
    },
    /// Lists all keys, without their secrets.
    List,
    /// Lets a key be over after a while, such as one that is being replaced.
    Expire {
        /// The key's id, or what the key starts with.
        #[arg(value_parser = named)]
        id: ApiKeyId,
        /// How long it still works, such as 7d or 12h.
        #[arg(long = "in")]
        remaining: Lifetime,
    },
    /// Revokes a key at once, for good.
    Revoke {
        /// The key's id, or what the key starts with.
        #[arg(value_parser = named)]
        id: ApiKeyId,
    },
}

/// A whole number of days, hours, minutes or seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime(Duration);

impl FromStr for Lifetime {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const PROBLEM: &str = "it is a number and one of d, h, m, s, such as 90d";
        let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or(PROBLEM)?;
        let seconds: u64 = match unit {
            "d" => 86_400,
            "h" => 3_600,
            "m" => 60,
            "s" => 1,
            _ => return Err(PROBLEM),
        };
        let number: u32 = number.parse().map_err(|_| PROBLEM)?;
        Ok(Self(Duration::from_secs(u64::from(number) * seconds)))
    }
}

fn named(text: &str) -> Result<ApiKeyId, &'static str> {
    key::named(text).ok_or("it is what a key starts with, such as proctor_0198…, or that without proctor_")
}

impl Action {
    /// Returns what the action tries, behind "can't".
    pub fn tried(&self) -> &'static str {
        match self {
            Self::Create { .. } => "make an API key",
            Self::List => "list the API keys",
            Self::Expire { .. } => "let the API key expire",
            Self::Revoke { .. } => "revoke the API key",
        }
    }
}

/// What came of an action: the new key itself, or what is known of keys.
#[derive(Serialize)]
#[serde(untagged)]
pub enum Report {
    /// The new key, for the only time that it is shown.
    Created(Created),
    /// All keys.
    Listed(Vec<Known>),
    /// The key that was changed.
    Changed(Known),
}

/// A new key.
#[derive(Serialize)]
pub struct Created {
    /// The key itself, which is a secret.
    pub key: String,
    /// What will be known of it.
    #[serde(flatten)]
    pub known: Known,
}

/// What is known of a key, without its secret.
#[derive(Serialize)]
pub struct Known {
    /// What the key starts with, by which commands name it.
    pub id: String,
    name: String,
    role: Role,
    status: String,
    created: Timestamp,
    expiration: Option<Timestamp>,
    revoked: Option<Timestamp>,
}

impl Known {
    fn of(key: ApiKey, now: Timestamp) -> Self {
        let status = format!("{:?}", key.status(now)).to_lowercase();
        let ApiKey { id, created, name, role, expiration, revoked, .. } = key;
        Self { id: key::shown(id), name, role, status, created, expiration, revoked }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Created(created) => formatter.write_str(&created.key),
            Self::Listed(keys) => formatter.write_str(&table(keys)),
            Self::Changed(key) => formatter.write_str(&table(std::slice::from_ref(key))),
        }
    }
}

/// Does what `action` says to the keys in `store`.
///
/// # Errors
/// [`Error::NotFound`] if there is no such key, or those of the store.
pub async fn carry_out(store: &Store, action: Action) -> Result<Report> {
    let now = Timestamp::now();
    match action {
        Action::Create { role, name, expires_in } => {
            let expiration = expires_in.map(|lifetime| now.plus(lifetime.0));
            let (record, text) = ApiKey::mint(name, role, expiration, now)?;
            store.add_api_key(&record).await?;
            Ok(Report::Created(Created { key: text, known: Known::of(record, now) }))
        }
        Action::List => {
            let keys = store.api_keys().await?;
            Ok(Report::Listed(keys.into_iter().map(|key| Known::of(key, now)).collect()))
        }
        Action::Expire { id, remaining } => {
            let changed = store.expire_api_key(id, now.plus(remaining.0)).await.map_err(|error| unknown(id, error))?;
            Ok(Report::Changed(Known::of(changed, now)))
        }
        Action::Revoke { id } => {
            let changed = store.revoke_api_key(id, now).await.map_err(|error| unknown(id, error))?;
            Ok(Report::Changed(Known::of(changed, now)))
        }
    }
}

fn unknown(id: ApiKeyId, error: Error) -> Error {
    match error {
        Error::NotFound(_) => Error::not_found_in_words(format!("there is no key {}", key::shown(id))),
        other => other,
    }
}

fn table(keys: &[Known]) -> String {
    let or_never = |time: Option<Timestamp>| time.map_or_else(|| "never".to_owned(), in_seconds);
    let rows = keys.iter().map(|key| {
        let Known { id, name, role, status, created, expiration, .. } = key;
        [id.clone(), role.to_string(), status.clone(), in_seconds(*created), or_never(*expiration), name.clone()]
    });
    let header = ["KEY", "ROLE", "STATUS", "CREATED", "EXPIRES", "NAME"].map(str::to_owned);
    let lines = std::iter::once(header).chain(rows).map(|row| {
        let widths = [40, 9, 7, 20, 20, 0];
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn in_seconds(time: Timestamp) -> String {
    time.as_chrono().format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_lifetimes() {
        let seconds = |text: &str| text.parse::<Lifetime>().map(|lifetime| lifetime.0.as_secs());
        assert_eq!(seconds("90d"), Ok(90 * 86_400));
        assert_eq!((seconds("12h"), seconds("30m"), seconds("45s")), (Ok(43_200), Ok(1_800), Ok(45)));
        for wrong in ["", "d", "90", "-1d", "1.5h", "1w", "9999999999d", "1ü"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
