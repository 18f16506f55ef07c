//! A secret that is stored elsewhere, and may be replaced there while the process runs.
//!
//! What was read is used for [`FRESH`] seconds. A wrong guess may be a new secret, so the process reads again then, and
//! at most once in [`BETWEEN_READS`] seconds, whoever guesses how often. A secret that can't be read again keeps its
//! last value: the place where it is stored may be down, and the callers who know the secret have done nothing wrong.
//! Whether another value is right nobody knows then, so that this is an error and no refusal: API Gateway remembers
//! refusals.

use std::{
    fmt,
    pin::Pin,
    sync::{Mutex, PoisonError},
};

use subtle::ConstantTimeEq;

use domain::{access::Secret, model::Timestamp};
use error::{Error, Result};

/// For how many seconds a process uses what it read.
const FRESH: f64 = 300.0;

/// How many seconds lie between two reads, at least.
const BETWEEN_READS: f64 = 10.0;

/// What a read of secrets comes to, later.
pub type Reading<'s> = Pin<Box<dyn Future<Output = Result<Vec<Secret>>> + Send + 's>>;

/// Where a secret is stored.
pub trait SecretSource: fmt::Debug + Send + Sync {
    /// Reads every value that is right at present.
    fn read(&self) -> Reading<'_>;
}

/// A secret that is read from where it is stored.
#[derive(Debug)]
pub struct StoredSecret {
    source: Box<dyn SecretSource>,
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    right: Vec<Secret>,
    /// By the wall clock, as is `tried`: the monotonic one stands still while Lambda keeps a function frozen.
    read: Timestamp,
    tried: Timestamp,
    /// Whether the last try came to nothing.
    is_outdated: bool,
}

impl StoredSecret {
    /// Reads the secret for the first time.
    ///
    /// # Errors
    /// If it can't be read, or is empty: a process must not start without it.
    pub async fn read(source: Box<dyn SecretSource>) -> Result<Self> {
        Self::read_at(source, Timestamp::now()).await
    }

    async fn read_at(source: Box<dyn SecretSource>, now: Timestamp) -> Result<Self> {
        let right = values(&*source).await?;
        Ok(Self { source, known: Mutex::new(Known { right, read: now, tried: now, is_outdated: false }) })
    }

    /// Returns whether `guess` is the secret, in a time that does not tell how much of it is right.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if it is not the last value, and whether that is still right can't be read.
    pub async fn is(&self, guess: &[u8]) -> Result<bool> {
        self.is_at(guess, Timestamp::now()).await
    }

    async fn is_at(&self, guess: &[u8], now: Timestamp) -> Result<bool> {
        let (is_fresh, is_known) = {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            ((0.0..FRESH).contains(&now.seconds_since(known.read)), known.has(guess))
        };
        if is_fresh && is_known {
            return Ok(true);
        }
        self.read_again(now).await;
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        match known.has(guess) {
            false if known.is_outdated => Err(Error::Unavailable("a secret can't be read again".into())),
            is_right => Ok(is_right),
        }
    }

    async fn read_again(&self, now: Timestamp) {
        {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if (0.0..BETWEEN_READS).contains(&now.seconds_since(known.tried)) {
                return;
            }
            known.tried = now;
        }
        match values(&*self.source).await {
            Ok(right) => {
                let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
                (known.right, known.read, known.is_outdated) = (right, now, false);
            }
            Err(error) => {
                tracing::warn!(%error, "a secret could not be read again; its last value stays");
                self.known.lock().unwrap_or_else(PoisonError::into_inner).is_outdated = true;
            }
        }
    }
}

impl Known {
    fn has(&self, guess: &[u8]) -> bool {
        // No `any`: it would end with the value that is right, and so tell which.
        self.right.iter().fold(false, |found, secret| found | bool::from(guess.ct_eq(secret.0.as_bytes())))
    }
}

async fn values(source: &dyn SecretSource) -> Result<Vec<Secret>> {
    let values = source.read().await?;
    if values.is_empty() || values.iter().any(|secret| secret.0.is_empty()) {
        return Err(Error::Internal(format!("{source:?} is empty, or is not there")));
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use super::*;

    /// A place whose secret a test replaces, and that counts its reads.
    #[derive(Clone, Debug, Default)]
    struct Place {
        values: Arc<Mutex<Option<Vec<&'static str>>>>,
        reads: Arc<AtomicUsize>,
    }

    impl Place {
        fn with(values: &[&'static str]) -> Self {
            let place = Self::default();
            place.put(Some(values));
            place
        }

        fn put(&self, values: Option<&[&'static str]>) {
            *self.values.lock().unwrap() = values.map(<[_]>::to_vec);
        }

        fn reads(&self) -> usize {
            self.reads.load(Ordering::Relaxed)
        }
    }

    impl SecretSource for Place {
        fn read(&self) -> Reading<'_> {
            self.reads.fetch_add(1, Ordering::Relaxed);
            let values = self.values.lock().unwrap().clone();
            let values = values.map(|values| values.into_iter().map(|value| Secret(value.into())).collect());
            Box::pin(async move { values.ok_or_else(|| Error::Unavailable("it is down".into())) })
        }
    }

    async fn started(place: &Place, now: Timestamp) -> Result<StoredSecret> {
        StoredSecret::read_at(Box::new(place.clone()), now).await
    }

    #[tokio::test]
    async fn a_process_does_not_start_without_its_secret() {
        for values in [None, Some([].as_slice()), Some([""].as_slice()), Some(["right", ""].as_slice())] {
            let place = Place::default();
            place.put(values);
            assert!(started(&place, Timestamp::now()).await.is_err(), "{values:?}");
        }
    }

    #[tokio::test]
    async fn a_secret_is_read_once_while_it_is_fresh() {
        let (place, now) = (Place::with(&["right"]), Timestamp::now());
        let secret = started(&place, now).await.unwrap();
        for later in [0.0, 1.0, 299.0] {
            assert!(secret.is_at(b"right", now.plus_seconds(later)).await.unwrap());
        }
        assert_eq!(place.reads(), 1);
        assert!(secret.is_at(b"right", now.plus_seconds(300.0)).await.unwrap());
        assert_eq!(place.reads(), 2);
    }

    #[tokio::test]
    async fn a_replaced_secret_is_taken_at_once_and_the_old_one_ends() {
        let (place, now) = (Place::with(&["old"]), Timestamp::now());
        let secret = started(&place, now).await.unwrap();
        place.put(Some(&["new"]));
        let later = now.plus_seconds(20.0);
        assert!(secret.is_at(b"old", later).await.unwrap(), "nobody has told the process yet");
        assert!(secret.is_at(b"new", later).await.unwrap());
        assert!(!secret.is_at(b"old", later).await.unwrap());
    }

    #[tokio::test]
    async fn wrong_guesses_are_no_flood_of_reads() {
        let (place, now) = (Place::with(&["right"]), Timestamp::now());
        let secret = started(&place, now).await.unwrap();
        for _ in 0..100 {
            for wrong in ["", "r", "rights", "wrong"] {
                assert!(!secret.is_at(wrong.as_bytes(), now.plus_seconds(20.0)).await.unwrap());
            }
        }
        assert_eq!(place.reads(), 2);
    }

    #[tokio::test]
    async fn every_value_that_is_read_is_right_and_stays_so_while_the_place_is_down() {
        let (place, now) = (Place::with(&["one", "other"]), Timestamp::now());
        let secret = started(&place, now).await.unwrap();
        place.put(None);
        let later = now.plus_seconds(3_600.0);
        assert!(secret.is_at(b"one", later).await.unwrap() && secret.is_at(b"other", later).await.unwrap());
        assert!(secret.is_at(b"new", later).await.is_err(), "it may be right");
        assert!(secret.is_at(b"new", later.plus_seconds(1.0)).await.is_err());
        place.put(Some(&["new"]));
        assert!(secret.is_at(b"new", later.plus_seconds(20.0)).await.unwrap());
        assert!(!secret.is_at(b"one", later.plus_seconds(21.0)).await.unwrap());
    }
}
