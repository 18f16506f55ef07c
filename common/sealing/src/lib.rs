//! How what is secret is sealed with a key, and opened again.
//!
//! AES-256-GCM of `ring`, which TLS is made of as well, with a nonce of its own for each text. What is sealed is bound to a
//! context: under any other one it can't be opened, so that nobody who may write the table passes one secret off as another.
//! A key may seal 2^32 texts before random nonces could meet (NIST SP 800-38D, 8.3), which is a write a second for a century.

use std::fmt;

use base64::{Engine, prelude::BASE64_STANDARD};
use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    rand::{SecureRandom, SystemRandom},
};

use error::{Error, Result};

/// How many bytes a key has.
pub const KEY_LENGTH: usize = 32;

/// A key that seals and opens; it is shown nowhere.
pub struct Key(LessSafeKey);

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Key")
    }
}

/// The bytes of a key, to be wrapped by another one; they are shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyBytes([u8; KEY_LENGTH]);

impl fmt::Debug for KeyBytes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("KeyBytes")
    }
}

impl KeyBytes {
    /// Makes a new key of random numbers.
    ///
    /// # Errors
    /// [`Error::Internal`] if the operating system has none.
    pub fn random() -> Result<Self> {
        let mut bytes = [0; KEY_LENGTH];
        fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// Takes the bytes of a key; nothing if there are more or fewer than a key has.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Reads a key that [`Self::to_text`] has written; nothing if that is no key.
    pub fn from_text(text: &str) -> Option<Self> {
        Self::new(&BASE64_STANDARD.decode(text).ok()?)
    }

    /// Returns the key in base64, for the file that holds it.
    pub fn to_text(&self) -> String {
        BASE64_STANDARD.encode(self.0)
    }

    /// Returns the key for use.
    ///
    /// # Errors
    /// [`Error::Internal`] if the bytes are no key, which none are.
    pub fn key(&self) -> Result<Key> {
        let key = UnboundKey::new(&AES_256_GCM, &self.0);
        key.map(|key| Key(LessSafeKey::new(key))).map_err(|_| Error::Internal("a key has another length".into()))
    }
}

impl Key {
    /// Seals `plain` within `context`; what comes out is text.
    ///
    /// # Errors
    /// [`Error::Internal`] if the operating system has no random numbers.
    pub fn seal(&self, plain: &[u8], context: &str) -> Result<String> {
        let mut nonce = [0; NONCE_LEN];
        fill(&mut nonce)?;
        let mut sealed = Vec::with_capacity(NONCE_LEN + plain.len() + AES_256_GCM.tag_len());
        sealed.extend_from_slice(plain);
        self.0
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(context), &mut sealed)
            .map_err(|_| Error::Internal("a text is too long to be sealed".into()))?;
        sealed.splice(0..0, nonce);
        Ok(BASE64_STANDARD.encode(sealed))
    }

    /// Opens what was sealed within `context`; nothing if it was sealed with another key or within another context, or was
    /// changed since.
    pub fn open(&self, sealed: &str, context: &str) -> Option<Vec<u8>> {
        let mut sealed = BASE64_STANDARD.decode(sealed).ok()?;
        let (nonce, text) = sealed.split_at_mut_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        Some(self.0.open_in_place(nonce, Aad::from(context), text).ok()?.to_vec())
    }
}

fn fill(bytes: &mut [u8]) -> Result<()> {
    SystemRandom::new().fill(bytes).map_err(|_| Error::Internal("no random numbers".into()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn key() -> Key {
        KeyBytes::random().unwrap().key().unwrap()
    }

    #[test]
    fn what_is_sealed_can_be_opened() {
        let key = key();
        for plain in [&b""[..], b"a secret", &vec![0; 100_000]] {
            let sealed = key.seal(plain, "here").unwrap();
            assert_eq!(key.open(&sealed, "here").unwrap(), plain);
        }
    }

    #[test]
    fn only_its_own_key_opens_it_where_it_was_sealed() {
        let (key, other) = (key(), key());
        let sealed = key.seal(b"a secret", "here").unwrap();
        assert_eq!(other.open(&sealed, "here"), None);
        assert_eq!(key.open(&sealed, "there"), None);
    }

    #[test]
    fn whatever_is_changed_opens_nothing() {
        let key = key();
        let sealed = key.seal(b"a secret", "here").unwrap();
        for place in 0..sealed.len() {
            let mut bytes = sealed.clone().into_bytes();
            bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            // The last letters may say bits that nobody reads; then nothing was changed.
            let is_the_same = BASE64_STANDARD.decode(&changed) == BASE64_STANDARD.decode(&sealed);
            assert!(is_the_same || key.open(&changed, "here").is_none(), "{place}");
        }
        for wrong in ["", "AAAA", "no base64!", "AAAAAAAAAAAAAAAAAAAAAAAA"] {
            assert_eq!(key.open(wrong, "here"), None);
        }
    }

    #[test]
    fn the_same_text_is_sealed_differently_each_time() {
        let key = key();
        assert_ne!(key.seal(b"a secret", "here").unwrap(), key.seal(b"a secret", "here").unwrap());
    }

    #[test]
    fn a_key_is_read_as_it_was_written_and_shown_nowhere() {
        let bytes = KeyBytes::random().unwrap();
        assert_eq!(KeyBytes::from_text(&bytes.to_text()), Some(bytes.clone()));
        assert_eq!(format!("{bytes:?} {:?}", bytes.key().unwrap()), "KeyBytes Key");
        for wrong in ["", "AAAA", "no base64!"] {
            assert_eq!(KeyBytes::from_text(wrong), None);
        }
    }
}
