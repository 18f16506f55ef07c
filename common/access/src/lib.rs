//! Access: who asks, and what they may do.
//!
//! A server asks for nothing, for one password as Prefect's server does, or for API keys ([`Mode`]). A key may come
//! as `Bearer` token (`PREFECT_API_KEY`), as the password of basic authentication, and in the websocket's `auth`
//! message (`PREFECT_API_AUTH_STRING`): the unmodified client never sends `PREFECT_API_KEY` over a websocket to
//! anything but Prefect Cloud.

mod key_cache;
pub mod operations;
mod stored_secret;

use base64::{Engine, engine::general_purpose::STANDARD};
use subtle::ConstantTimeEq;

pub use key_cache::KeyCache;
pub use stored_secret::{Reading, SecretSource, StoredSecret};

use domain::{
    access::{Mode, Password, Role, key},
    model::{ApiKey, ApiKeyId, Timestamp, api_key::KeyStatus},
};
use error::{Error, Result};
use settings::Settings;
use store::Store;

/// Someone who has shown what the server asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// What they may do.
    pub role: Role,
    /// The key that they have shown, where there are keys.
    pub key: Option<ApiKeyId>,
}

impl Caller {
    /// Who asks where nothing tells callers apart.
    pub const ANYONE: Self = Self { role: Role::Admin, key: None };
}

/// What it takes to find out who calls.
#[derive(Clone, Copy, Debug)]
pub struct Gate<'a> {
    /// The table with the API keys.
    pub store: &'a Store,
    /// What the server asks of its callers.
    pub settings: &'a Settings,
    /// What this process remembers of API keys.
    pub keys: &'a KeyCache,
    /// The password, where it is stored outside of the settings.
    pub password: Option<&'a StoredSecret>,
}

impl Gate<'_> {
    /// Finds out who sends the header `Authorization: <header>`; none if it doesn't do.
    ///
    /// Costs one read of the table at most, where the server asks for keys.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the table or the stored password can't be read.
    pub async fn caller_of_header(self, header: Option<&str>) -> Result<Option<Caller>> {
        match &self.settings.access {
            Mode::Open => Ok(Some(Caller::ANYONE)),
            Mode::Basic(password) => match header.and_then(prefects_basic) {
                Some(given) => self.caller_of_password(&given, password).await,
                None => Ok(None),
            },
            Mode::Keys => match header.and_then(key_of_header) {
                Some(key) => self.caller_of_key(&key).await,
                None => Ok(None),
            },
        }
    }

    /// Finds out who knows `token`, the text that a client is to know; none if it doesn't do.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the table or the stored password can't be read.
    pub async fn caller_of_token(self, token: &str) -> Result<Option<Caller>> {
        match &self.settings.access {
            Mode::Open => Ok(Some(Caller::ANYONE)),
            Mode::Basic(password) => self.caller_of_password(token.as_bytes(), password).await,
            Mode::Keys => self.caller_of_key(after_the_user(token)).await,
        }
    }

    /// Finds out what the holder of the key `id` may do, who has shown the key before; none if it is over by now.
    ///
    /// # Errors
    /// [`error::Error::Unavailable`] if the table can't be read.
    pub async fn caller_of_id(self, id: ApiKeyId) -> Result<Option<Caller>> {
        let record = self.active_key(id).await?;
        Ok(record.map(|record| Caller { role: record.role, key: Some(id) }))
    }

    async fn caller_of_password(self, given: &[u8], password: &Password) -> Result<Option<Caller>> {
        let is_right = match (password, self.password) {
            (Password::Given(secret), _) => given.ct_eq(secret.0.as_bytes()).into(),
            (Password::Stored(_), Some(secret)) => secret.is(given).await?,
            // Nobody gets in where nobody has read what to ask for.
            (Password::Stored(_), None) => return Err(Error::Internal("the password was not read".into())),
        };
        Ok(is_right.then_some(Caller::ANYONE))
    }

    async fn caller_of_key(self, text: &str) -> Result<Option<Caller>> {
        let Some(id) = key::id(text) else { return Ok(None) };
        let record = self.active_key(id).await?.filter(|record| record.is(text));
        Ok(record.map(|record| Caller { role: record.role, key: Some(id) }))
    }

    /// Reads the record of a key, or remembers it; none if there is no such key, or it is over.
    async fn active_key(self, id: ApiKeyId) -> Result<Option<ApiKey>> {
        let (now, seconds) = (Timestamp::now(), self.settings.key_memory);
        let record = if let Some(record) = self.keys.recall(id, now, seconds) {
            record
        } else {
            let record = self.store.api_key(id).await?;
            self.keys.note(id, record.clone(), now, seconds);
            record
        };
        Ok(record.filter(|record| record.status(now) == KeyStatus::Active))
    }
}

/// Decodes a `Basic` header as Prefect does: like Python's decoder, passes over what is no digit of the encoding.
fn prefects_basic(header: &str) -> Option<Vec<u8>> {
    let mut words = header.split_whitespace();
    let (Some("Basic"), Some(encoded), None) = (words.next(), words.next(), words.next()) else { return None };
    decoded(encoded)
}

fn decoded(encoded: &str) -> Option<Vec<u8>> {
    let is_digit = |character: &char| character.is_ascii_alphanumeric() || matches!(character, '+' | '/' | '=');
    STANDARD.decode(encoded.chars().filter(is_digit).collect::<String>()).ok()
}

/// Returns the key in a `Bearer` or `Basic` header, whose scheme may be written in any case (RFC 9110, 11.1).
fn key_of_header(header: &str) -> Option<String> {
    let (scheme, credentials) = header.trim().split_once(' ')?;
    let credentials = credentials.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(credentials.to_owned());
    }
    let decoded = decoded(credentials).filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
    Some(after_the_user(&String::from_utf8(decoded).ok()?).to_owned())
}

/// Returns the password of `user:password`, or all of a text without a user: a key has no colon.
fn after_the_user(text: &str) -> &str {
    text.rsplit(':').next().unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_upstreams_basic_credentials_only() {
        assert_eq!(prefects_basic("Basic YWRtaW46cGFzcw==").as_deref(), Some(b"admin:pass".as_slice()));
        for wrong in ["basic YWRtaW46cGFzcw==", "Basic", "Bearer x", "Basic YWRtaW46cGFzcw== more", "Basic YWR"] {
            assert_eq!(prefects_basic(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn takes_a_key_as_token_and_as_password() {
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
        for header in ["Bearer key", "bearer  key ", &basic("key"), &basic("anyone:key")] {
            assert_eq!(key_of_header(header).as_deref(), Some("key"), "{header}");
        }
        for header in ["", "key", "Digest key", "Basic !"] {
            assert!(key_of_header(header).is_none_or(|key| key.is_empty()), "{header}");
        }
    }
}
