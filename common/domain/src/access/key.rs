//! API keys as their holders have them: `proctor_<id>_<secret>`.
//!
//! The prefix lets people and secret scanners recognise one, the id finds the record with one read, and the secret is
//! 256 random bits. Of a key the table has its SHA-256 alone. A slow hash such as Argon2 protects what people think
//! up, by making guesses costly; nobody guesses 256 random bits, and it would cost every request milliseconds.

use sha2::{Digest, Sha256};
use uuid::Uuid;

use error::{Error, Result};

use crate::model::ApiKeyId;

/// What every key starts with.
const PREFIX: &str = "proctor_";

/// How many digits the secret has.
const SECRET_DIGITS: usize = 64;

/// Makes the key of the record `id`; this is the only time that it is in the open.
///
/// # Errors
/// [`Error::Internal`] if the operating system has no random numbers.
pub fn mint(id: ApiKeyId) -> Result<String> {
    let mut secret = [0; SECRET_DIGITS / 2];
    getrandom::fill(&mut secret).map_err(|error| Error::Internal(format!("no random numbers: {error}")))?;
    Ok(format!("{}_{}", shown(id), hexadecimal(&secret)))
}

/// Returns the part of a key that is no secret and names its record.
pub fn shown(id: ApiKeyId) -> String {
    format!("{PREFIX}{}", id.0.simple())
}

/// Returns the id of the record of `key`; none if it is no key by its looks.
pub fn id(key: &str) -> Option<ApiKeyId> {
    let (id, secret) = key.strip_prefix(PREFIX)?.split_once('_')?;
    let is_secret = secret.len() == SECRET_DIGITS && secret.bytes().all(|digit| digit.is_ascii_hexdigit());
    Uuid::try_parse(id).ok().filter(|_| is_secret).map(ApiKeyId)
}

/// Reads what names a key's record: its id, the part of the key that is shown, or the whole key.
pub fn named(text: &str) -> Option<ApiKeyId> {
    let text = text.strip_prefix(PREFIX).unwrap_or(text);
    Uuid::try_parse(text.split('_').next()?).ok().map(ApiKeyId)
}

/// Returns what is kept of `key`: its SHA-256, in hexadecimal.
pub fn digest(key: &str) -> String {
    hexadecimal(&Sha256::digest(key.as_bytes()))
}

fn hexadecimal(bytes: &[u8]) -> String {
    let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_names_its_record_and_no_two_are_alike() {
        let record = ApiKeyId::new();
        let (one, other) = (mint(record).unwrap(), mint(record).unwrap());
        assert_eq!((id(&one), id(&other)), (Some(record), Some(record)));
        assert_ne!(digest(&one), digest(&other));
        for text in [one.as_str(), &shown(record), &record.to_string()] {
            assert_eq!(named(text), Some(record), "{text}");
        }
    }

    #[test]
    fn takes_nothing_else_for_a_key() {
        let key = mint(ApiKeyId::new()).unwrap();
        for text in ["", "proctor_", "admin:pass", &key[1..], &key[..key.len() - 1], &key.replace('_', "-")] {
            assert_eq!(id(text), None, "{text}");
        }
    }

    #[test]
    fn the_digest_is_sha_256() {
        assert_eq!(digest("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
