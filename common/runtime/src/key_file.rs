//! The master key of a server on one machine: a file beside the database, which its owner alone may read.
//!
//! The file has one key or more, the newest first. The first one wraps; those behind it still unwrap what they wrapped. A
//! file is only made where nothing was ever sealed, so that one that is lost is missed and not replaced.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{ErrorKind, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use error::{Error, Result};
use sealing::{Key, KeyBytes};
use services::vault::{Generated, Master};

/// The name of the file in the directory of the database.
pub const NAME: &str = "proctor.key";

/// Who may do what with the file: its owner may read and write it.
const MODE: u32 = 0o600;

/// The bits of a file's mode that let others do anything.
const OTHERS: u32 = 0o077;

/// What the file holds.
#[derive(Clone, Serialize, Deserialize)]
struct Content {
    /// The keys, of which the first one wraps.
    keys: Vec<Entry>,
}

/// A key in the file.
#[derive(Clone, Serialize, Deserialize)]
struct Entry {
    id: Uuid,
    /// The key, in base64.
    key: String,
}

impl Entry {
    fn new() -> Result<Self> {
        Ok(Self { id: Uuid::new_v4(), key: KeyBytes::random()?.to_text() })
    }

    fn key(&self) -> Result<Key> {
        let bytes = KeyBytes::from_text(&self.key);
        bytes.ok_or_else(|| Error::Sealed(format!("the master key {} is no key", self.id)))?.key()
    }
}

/// The keys of a file, or of a server that keeps everything in memory.
#[derive(Debug)]
pub struct KeyFile {
    /// The file; none in memory.
    path: Option<PathBuf>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known(Vec<Entry>);

impl std::fmt::Debug for Known {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_list().entries(self.0.iter().map(|entry| entry.id)).finish()
    }
}

impl KeyFile {
    /// Makes a key that is in no file.
    ///
    /// # Errors
    /// [`Error::Internal`] if the operating system has no random numbers.
    pub fn in_memory() -> Result<Self> {
        Ok(Self { path: None, known: Mutex::new(Known(vec![Entry::new()?])) })
    }

    /// Takes the file at `path`, which is read when a key is asked for.
    ///
    /// So a server starts without the file as well, and says what is missing where it is.
    pub fn at(path: PathBuf) -> Self {
        Self { path: Some(path), known: Mutex::default() }
    }

    /// Makes the file at `path` with a new key, unless there is one; returns whether it was made.
    ///
    /// The file is there with all that is in it, or not at all.
    ///
    /// # Errors
    /// [`Error::Internal`] if it can't be written.
    pub fn make(path: &Path) -> Result<bool> {
        let failed = |error: std::io::Error| cant_write(path, &error);
        let beside = write_beside(path, &Content { keys: vec![Entry::new()?] }).map_err(failed)?;
        // A link is refused where there is a file, so that of two processes that start at once one makes it.
        let made = std::fs::hard_link(&beside, path);
        std::fs::remove_file(&beside).map_err(failed)?;
        match made {
            Ok(()) => sync_directory(path).map(|()| true).map_err(failed),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(failed(error)),
        }
    }

    /// Returns the key that wraps.
    fn first(&self) -> Result<Entry> {
        if let Some(first) = self.known().0.first() {
            return Ok(first.clone());
        }
        self.read()?.into_iter().next().ok_or_else(|| Error::Sealed("the key file has no key in it".into()))
    }

    /// Returns the key of this name; the file is read again for one that is new.
    fn named(&self, name: &str) -> Result<Entry> {
        let find = |entries: &[Entry]| entries.iter().find(|entry| entry.id.to_string() == name).cloned();
        if let Some(found) = find(&self.known().0) {
            return Ok(found);
        }
        let file = self.path.as_deref().map_or("memory".into(), |path| path.display().to_string());
        find(&self.read()?).ok_or_else(|| {
            Error::Sealed(format!(
                "the data of blocks is sealed with the master key {name}, which is not in {file}: put the key file back \
                 that has it"
            ))
        })
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the file.
    fn read(&self) -> Result<Vec<Entry>> {
        let Some(path) = &self.path else { return Ok(self.known().0.clone()) };
        let entries = read(path)?.keys;
        self.known().0.clone_from(&entries);
        Ok(entries)
    }

    /// Changes the keys of the file, as one who has it for himself.
    fn change(&self, change: impl FnOnce(&mut Vec<Entry>) -> Result<()>) -> Result<()> {
        let Some(path) = &self.path else { return change(&mut self.known().0) };
        let failed = |error: std::io::Error| cant_write(path, &error);
        let _lock = lock(path)?;
        let mut content = read(path)?;
        change(&mut content.keys)?;
        let beside = write_beside(path, &content).map_err(failed)?;
        std::fs::rename(&beside, path).and_then(|()| sync_directory(path)).map_err(failed)?;
        self.known().0.clone_from(&content.keys);
        Ok(())
    }
}

impl Master for KeyFile {
    fn generate<'m>(&'m self, context: &'m str) -> BoxFuture<'m, Result<Generated>> {
        Box::pin(async move {
            let (first, key) = (self.first()?, KeyBytes::random()?);
            let wrapped = first.key()?.seal(key.to_text().as_bytes(), context)?;
            Ok(Generated { key, wrapped, master: first.id.to_string() })
        })
    }

    fn unwrap<'m>(&'m self, master: &'m str, wrapped: &'m str, context: &'m str) -> BoxFuture<'m, Result<KeyBytes>> {
        Box::pin(async move {
            let opened = self.named(master)?.key()?.open(wrapped, context);
            let text = opened.and_then(|text| String::from_utf8(text).ok());
            text.and_then(|text| KeyBytes::from_text(&text))
                .ok_or_else(|| Error::Sealed(format!("the master key {master} does not open {context}")))
        })
    }

    fn renew(&self) -> Result<()> {
        let new = Entry::new()?;
        self.change(|keys| {
            keys.insert(0, new);
            Ok(())
        })
    }

    fn forget_but(&self, names: &[String]) -> Result<()> {
        self.change(|keys| {
            let mut place = 0;
            keys.retain(|entry| {
                place += 1;
                place == 1 || names.contains(&entry.id.to_string())
            });
            Ok(())
        })
    }
}

fn read(path: &Path) -> Result<Content> {
    let shown = path.display();
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(Error::Sealed(format!(
                "the key file {shown} is missing: put it back, for without it the data of blocks stays closed"
            )));
        }
        Err(error) => return Err(Error::Sealed(format!("the key file {shown} can't be read: {error}"))),
    };
    let metadata = file.metadata().map_err(|error| Error::Sealed(format!("the key file {shown}: {error}")))?;
    if metadata.mode() & OTHERS != 0 {
        return Err(Error::Sealed(format!("others may read the key file {shown}: chmod 600 {shown}")));
    }
    // What is wrong with it is not said in serde's words, which may have a part of it in them.
    let malformed = |_| Error::Sealed(format!("the key file {shown} is not as it was written"));
    serde_json::from_reader(file).map_err(malformed)
}

/// Writes a file beside `path`, to be put in its place; returns where it is.
fn write_beside(path: &Path, content: &Content) -> std::io::Result<PathBuf> {
    let beside = path.with_extension(format!("{}.new", Uuid::new_v4().simple()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(&beside)?;
    let mut text = serde_json::to_string_pretty(content)?;
    text.push('\n');
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    Ok(beside)
}

fn sync_directory(path: &Path) -> std::io::Result<()> {
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}

/// Keeps others from changing the file until the lock is dropped.
fn lock(path: &Path) -> Result<File> {
    let lock = OpenOptions::new().read(true).open(path).map_err(|error| cant_write(path, &error))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => {
            Err(Error::Unavailable(format!("another process changes the key file {}", path.display())))
        }
        Err(TryLockError::Error(error)) => Err(cant_write(path, &error)),
    }
}

fn cant_write(path: &Path, error: &std::io::Error) -> Error {
    Error::Internal(format!("the key file {} can't be written: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A directory of the test's own.
    struct Directory(PathBuf);

    impl Directory {
        fn new() -> Self {
            let path = std::env::temp_dir().join(format!("proctor-key-file-{}", Uuid::new_v4()));
            std::fs::create_dir(&path).unwrap();
            Self(path)
        }

        fn file(&self) -> PathBuf {
            self.0.join(NAME)
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    async fn unwrapped(file: &KeyFile, of: &Generated) -> Result<KeyBytes> {
        file.unwrap(&of.master, &of.wrapped, "c").await
    }

    #[tokio::test]
    async fn a_file_is_made_once_for_its_owner_alone() {
        let directory = Directory::new();
        assert!(KeyFile::make(&directory.file()).unwrap());
        let content = std::fs::read(directory.file()).unwrap();
        assert!(!KeyFile::make(&directory.file()).unwrap());
        assert_eq!(std::fs::read(directory.file()).unwrap(), content);
        assert_eq!(std::fs::metadata(directory.file()).unwrap().mode() & 0o777, MODE);
        assert_eq!(std::fs::read_dir(&directory.0).unwrap().count(), 1, "nothing is left beside it");
        let made = KeyFile::at(directory.file()).generate("c").await.unwrap();
        assert_eq!(unwrapped(&KeyFile::at(directory.file()), &made).await.unwrap(), made.key);
    }

    #[tokio::test]
    async fn what_is_wrong_with_a_file_is_said_and_shows_none_of_it() {
        let directory = Directory::new();
        let file = KeyFile::at(directory.file());
        let says = async |words: &str| {
            let error = file.generate("c").await.unwrap_err();
            assert!(
                matches!(&error, Error::Sealed(said) if said.contains(words) && !said.contains("c2VjcmV0")),
                "{error}"
            );
        };
        says("is missing").await;
        std::fs::write(directory.file(), r#"{"keys": ["c2VjcmV0"]}"#).unwrap();
        std::fs::set_permissions(directory.file(), std::fs::Permissions::from_mode(0o644)).unwrap();
        says("chmod 600").await;
        std::fs::set_permissions(directory.file(), std::fs::Permissions::from_mode(0o600)).unwrap();
        says("not as it was written").await;
        std::fs::write(directory.file(), r#"{"keys": []}"#).unwrap();
        says("no key in it").await;
        assert!(!format!("{file:?}").contains("c2VjcmV0"));
    }

    #[tokio::test]
    async fn a_lost_key_is_named_and_works_again_when_it_is_back() {
        let (directory, other) = (Directory::new(), Directory::new());
        KeyFile::make(&directory.file()).unwrap();
        KeyFile::make(&other.file()).unwrap();
        let made = KeyFile::at(directory.file()).generate("c").await.unwrap();
        let file = KeyFile::at(other.file());
        let error = unwrapped(&file, &made).await.unwrap_err();
        assert!(matches!(&error, Error::Sealed(said) if said.contains(&made.master)), "{error}");
        std::fs::copy(directory.file(), other.file()).unwrap();
        assert_eq!(unwrapped(&file, &made).await.unwrap(), made.key);
    }

    #[tokio::test]
    async fn a_new_key_wraps_and_the_old_one_unwraps_until_it_is_forgotten() {
        let directory = Directory::new();
        KeyFile::make(&directory.file()).unwrap();
        let (file, running) = (KeyFile::at(directory.file()), KeyFile::at(directory.file()));
        let old = file.generate("c").await.unwrap();
        assert_eq!(unwrapped(&running, &old).await.unwrap(), old.key);
        file.renew().unwrap();
        let new = file.generate("c").await.unwrap();
        assert_ne!(new.master, old.master);
        for (of, who) in [(&old, "old"), (&new, "new")] {
            assert_eq!(unwrapped(&running, of).await.unwrap(), of.key, "{who}");
        }
        file.forget_but(std::slice::from_ref(&old.master)).unwrap();
        assert!(unwrapped(&KeyFile::at(directory.file()), &old).await.is_ok());
        file.forget_but(std::slice::from_ref(&new.master)).unwrap();
        assert!(unwrapped(&KeyFile::at(directory.file()), &old).await.is_err());
        assert_eq!(std::fs::metadata(directory.file()).unwrap().mode() & 0o777, MODE);
        assert_eq!(std::fs::read_dir(&directory.0).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn a_key_in_memory_is_in_no_file() {
        let file = KeyFile::in_memory().unwrap();
        let old = file.generate("c").await.unwrap();
        file.renew().unwrap();
        assert_ne!(file.generate("c").await.unwrap().master, old.master);
        assert_eq!(unwrapped(&file, &old).await.unwrap(), old.key);
    }
}
