//! Where the data of block documents is sealed and opened: with data keys, which the master key wraps.
//!
//! The data keys lie in the table, each wrapped by the master key: a key in AWS KMS, or one in a file beside the database of
//! a server on one machine. A process asks for the unwrapping of a data key once, and keeps it. One of them is in use for
//! what is sealed; that is read anew each minute, so that a new one is used soon after it was made.
//!
//! What can't be opened is an error that says which key is missing. Nothing is written in its place.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use futures::future::BoxFuture;

use domain::model::{DataKey, DataKeyId, Timestamp, block_document::Sealed};
use error::{Error, Result};
use sealing::{Key, KeyBytes};
use store::{
    Store,
    access::{self, Secrets},
};

/// For how many seconds a process seals with the data key that it read to be in use.
///
/// Those who forget a key that is in use no more wait far longer: [`crate::blocks::resealing`].
const FRESH: f64 = 60.0;

/// A new data key, and how it is kept.
#[derive(Debug)]
pub struct Generated {
    /// The key.
    pub key: KeyBytes,
    /// The key, wrapped.
    pub wrapped: String,
    /// The name of the master key that wrapped it.
    pub master: String,
}

/// What wraps data keys, and alone can unwrap them.
pub trait Master: fmt::Debug + Send + Sync {
    /// Makes a data key, bound to `context`.
    fn generate<'m>(&'m self, context: &'m str) -> BoxFuture<'m, Result<Generated>>;

    /// Unwraps the data key `wrapped`, which the master key of the name `master` wrapped within `context`.
    fn unwrap<'m>(&'m self, master: &'m str, wrapped: &'m str, context: &'m str) -> BoxFuture<'m, Result<KeyBytes>>;

    /// Puts a new master key in the place of the one that wraps, where that is the server's to do.
    fn renew(&self) -> Result<()> {
        Ok(())
    }

    /// Forgets all master keys but those of these names and the one that wraps, where that is the server's to do.
    fn forget_but(&self, _names: &[String]) -> Result<()> {
        Ok(())
    }
}

/// The keys of a process.
#[derive(Debug, Default)]
pub struct Vault {
    master: Option<Box<dyn Master>>,
    unwrapped: Mutex<HashMap<DataKeyId, Arc<Key>>>,
    /// The data key that is in use, and when that was read, by the wall clock.
    current: Mutex<Option<(DataKeyId, Timestamp)>>,
}

impl Vault {
    /// Takes what wraps data keys.
    pub fn new(master: Box<dyn Master>) -> Self {
        Self { master: Some(master), ..Self::default() }
    }

    /// Returns what wraps data keys.
    ///
    /// # Errors
    /// [`Error::Sealed`] if this process was given nothing.
    pub fn master(&self) -> Result<&dyn Master> {
        self.master.as_deref().ok_or_else(|| Error::Sealed(NO_MASTER.into()))
    }

    /// Seals `plain` within `context`, with the data key that is in use; the first one is made here.
    ///
    /// # Errors
    /// [`Error::Sealed`] if that key can't be used, and those of the store.
    pub async fn seal(&self, store: &Store, plain: &[u8], context: &str) -> Result<Sealed> {
        access::require(Secrets::Seals)?;
        let (id, key) = self.in_use(store).await?;
        Ok(Sealed { key: id, text: key.seal(plain, context)? })
    }

    /// Opens what was sealed within `context`.
    ///
    /// # Errors
    /// [`Error::Sealed`] if its key can't be used or does not open it, and those of the store.
    pub async fn open(&self, store: &Store, sealed: &Sealed, context: &str) -> Result<Vec<u8>> {
        access::require(Secrets::Opens)?;
        let key = self.key(store, sealed.key).await?;
        key.open(&sealed.text, context).ok_or_else(|| {
            Error::Sealed(format!("the data of {context} was changed, or is another's: its data key does not open it"))
        })
    }

    /// Makes a data key and has it used in the place of the one that is in use; returns the one that is used then.
    ///
    /// # Errors
    /// [`Error::Sealed`] if the master key can't be used, and those of the store.
    pub async fn renew(&self, store: &Store) -> Result<DataKeyId> {
        let before = store.current_data_key().await?;
        let id = self.add(store, before.map(|before| before.version)).await?.0;
        self.remember(id);
        Ok(id)
    }

    /// Returns the data key that is in use.
    async fn in_use(&self, store: &Store) -> Result<(DataKeyId, Arc<Key>)> {
        if let Some(id) = self.recall() {
            return Ok((id, self.key(store, id).await?));
        }
        let (id, key) = match store.current_data_key().await? {
            Some(current) => (current.record.id, self.key(store, current.record.id).await?),
            None => self.add(store, None).await?,
        };
        self.remember(id);
        Ok((id, key))
    }

    /// Adds a data key, or finds the one that another process has put in use meanwhile.
    async fn add(&self, store: &Store, version: Option<u64>) -> Result<(DataKeyId, Arc<Key>)> {
        let id = DataKeyId::new();
        let Generated { key, wrapped, master } = self.master()?.generate(&DataKey::wrap_context(id)).await?;
        if store.put_in_use(&DataKey { id, created: Timestamp::now(), master, wrapped }, version).await? {
            return Ok((id, self.keep(id, key.key()?)));
        }
        let current = store.current_data_key().await?;
        let id = current.ok_or_else(|| Error::Unavailable("which data key is in use was changed".into()))?.record.id;
        Ok((id, self.key(store, id).await?))
    }

    /// Returns a data key, unwrapped once for the process.
    async fn key(&self, store: &Store, id: DataKeyId) -> Result<Arc<Key>> {
        if let Some(key) = self.unwrapped.lock().unwrap_or_else(PoisonError::into_inner).get(&id) {
            return Ok(key.clone());
        }
        let master = self.master()?;
        let Some(wrapped) = store.data_key(id).await? else {
            return Err(Error::Sealed(format!(
                "the data key {id} is missing, and what is sealed with it stays closed"
            )));
        };
        let key = master.unwrap(&wrapped.master, &wrapped.wrapped, &DataKey::wrap_context(id)).await?;
        Ok(self.keep(id, key.key()?))
    }

    fn keep(&self, id: DataKeyId, key: Key) -> Arc<Key> {
        self.unwrapped.lock().unwrap_or_else(PoisonError::into_inner).entry(id).or_insert(Arc::new(key)).clone()
    }

    fn recall(&self) -> Option<DataKeyId> {
        let current = *self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let (id, read) = current?;
        (0.0..FRESH).contains(&Timestamp::now().seconds_since(read)).then_some(id)
    }

    fn remember(&self, id: DataKeyId) {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Some((id, Timestamp::now()));
    }
}

/// What is said by a process that was given no master key.
const NO_MASTER: &str =
    "there is no key for the data of blocks: neither PROCTOR_SECRETS_KEY nor PROCTOR_KEY_FILE names one";

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use embedded::EmbeddedDatabase;
    use store::Shards;

    use super::*;

    /// A master key in memory, which counts what it is asked for.
    #[derive(Debug)]
    pub(crate) struct InMemory {
        key: Key,
        pub(crate) asked: Arc<AtomicUsize>,
    }

    impl InMemory {
        pub(crate) fn new() -> Self {
            Self { key: KeyBytes::random().unwrap().key().unwrap(), asked: Arc::default() }
        }
    }

    impl Master for InMemory {
        fn generate<'m>(&'m self, context: &'m str) -> BoxFuture<'m, Result<Generated>> {
            Box::pin(async move {
                self.asked.fetch_add(1, Ordering::Relaxed);
                let key = KeyBytes::random()?;
                let wrapped = self.key.seal(key.to_text().as_bytes(), context)?;
                Ok(Generated { key, wrapped, master: "memory".into() })
            })
        }

        fn unwrap<'m>(&'m self, _: &'m str, wrapped: &'m str, context: &'m str) -> BoxFuture<'m, Result<KeyBytes>> {
            Box::pin(async move {
                self.asked.fetch_add(1, Ordering::Relaxed);
                let opened = self.key.open(wrapped, context).and_then(|text| String::from_utf8(text).ok());
                opened
                    .and_then(|text| KeyBytes::from_text(&text))
                    .ok_or_else(|| Error::Sealed("another master key".into()))
            })
        }
    }

    pub(crate) async fn store() -> Store {
        let config = EmbeddedDatabase::in_memory().unwrap().sdk_config();
        let store = Store::new(aws_sdk_dynamodb::Client::from_conf(config), "proctor-records", Shards(1));
        store.create_table().await.unwrap();
        store
    }

    #[tokio::test]
    async fn a_process_asks_for_a_key_once() {
        let store = store().await;
        let master = InMemory::new();
        let asked = master.asked.clone();
        let vault = Vault::new(Box::new(master));
        let sealed = vault.seal(&store, b"one", "a").await.unwrap();
        for _ in 0..3 {
            assert_eq!(vault.seal(&store, b"two", "b").await.unwrap().key, sealed.key);
            assert_eq!(vault.open(&store, &sealed, "a").await.unwrap(), b"one");
        }
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        assert!(matches!(vault.open(&store, &sealed, "b").await, Err(Error::Sealed(_))));
    }

    #[tokio::test]
    async fn two_processes_that_begin_at_once_use_one_key() {
        let store = store().await;
        let key = KeyBytes::random().unwrap();
        let vault = || {
            let key = key.key().unwrap();
            Vault::new(Box::new(InMemory { key, asked: Arc::default() }))
        };
        let (one, other) = (vault(), vault());
        let (sealed, also) = tokio::join!(one.seal(&store, b"s", "c"), other.seal(&store, b"s", "c"));
        assert_eq!(sealed.as_ref().unwrap().key, also.as_ref().unwrap().key);
        assert_eq!(one.open(&store, &also.unwrap(), "c").await.unwrap(), b"s");
        assert_eq!(store.data_keys().await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_new_key_seals_and_the_old_one_still_opens() {
        let store = store().await;
        let vault = Vault::new(Box::new(InMemory::new()));
        let before = vault.seal(&store, b"old", "c").await.unwrap();
        let id = vault.renew(&store).await.unwrap();
        let after = vault.seal(&store, b"new", "c").await.unwrap();
        assert_eq!(after.key, id);
        assert_ne!(before.key, id);
        assert_eq!(vault.open(&store, &before, "c").await.unwrap(), b"old");
    }

    #[tokio::test]
    async fn without_its_key_nothing_is_opened_and_no_key_is_made() {
        let store = store().await;
        let sealed = Vault::new(Box::new(InMemory::new())).seal(&store, b"s", "c").await.unwrap();
        let (other, none) = (Vault::new(Box::new(InMemory::new())), Vault::default());
        for vault in [&other, &none] {
            assert!(matches!(vault.open(&store, &sealed, "c").await, Err(Error::Sealed(_))));
            assert!(matches!(vault.seal(&store, b"s", "c").await, Err(Error::Sealed(_))));
        }
        assert_eq!(store.data_keys().await.unwrap().len(), 1);
        store.forget_data_key(sealed.key).await.unwrap();
        let error = other.open(&store, &sealed, "c").await.unwrap_err();
        assert!(error.to_string().contains(&sealed.key.to_string()), "{error}");
    }
}
