//! CSRF tokens in the table: one per client, deleted by DynamoDB after their expiration.

use uuid::Uuid;

use super::{
    Item, Key, Record, Store, TableAccess, Write,
    commit::retry_on_conflict,
    table::{self, IndexKey, Shards},
};
use domain::model::{CsrfToken, Timestamp};
use error::{Error, Result};

crate::json_record!(CsrfToken);

impl Record for CsrfToken {
    const HEAD: &'static [&'static str] = &["client", "token", "expiration"];

    fn key(&self) -> Key {
        table::csrf_token(&self.client)
    }

    fn index_keys(&self, _shards: Shards) -> Vec<IndexKey> {
        Vec::new()
    }
}

/// What [`Store::renew_csrf_token`] touches.
pub const RENEW: TableAccess = TableAccess::WRITES;

impl Store {
    /// Gives `client` a new token that holds for `lifetime` seconds from `now`, in the place of the one before.
    pub async fn renew_csrf_token(&self, client: &str, now: Timestamp, lifetime: f64) -> Result<CsrfToken> {
        retry_on_conflict(|| async {
            let before = self.get::<CsrfToken>(&table::csrf_token(client)).await?;
            let version = before.as_ref().map_or(0, |before| before.version);
            let (id, created, updated) = before.map_or_else(
                || (Uuid::new_v4(), now, now),
                |old| (old.record.id, old.record.created, old.record.updated),
            );
            let expiration = now.plus_seconds(lifetime);
            let token = CsrfToken { id, created, updated, token: random_token()?, client: client.into(), expiration };
            let mut item = Item::of(&token, version + 1, self.shards())?;
            item.expires = Some(expiration.as_seconds());
            self.commit(vec![if version == 0 { Write::Insert(item) } else { Write::Replace(item) }]).await?;
            Ok(token)
        })
        .await
    }

    /// Reads the token of `client` if it holds at `now`.
    pub async fn csrf_token(&self, client: &str, now: Timestamp) -> Result<Option<CsrfToken>> {
        let token = self.get::<CsrfToken>(&table::csrf_token(client)).await?.map(|token| token.record);
        // DynamoDB deletes what has expired hours later, so the time is checked here as well.
        Ok(token.filter(|token| token.expiration > now))
    }
}

/// Returns 256 random bits in hexadecimal, from the operating system.
pub(crate) fn random_token() -> Result<String> {
    let mut bits = [0; 32];
    getrandom::fill(&mut bits).map_err(|error| Error::Internal(format!("no random numbers: {error}")))?;
    let digits: Vec<String> = bits.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(digits.concat())
}
