//! Reading the folder: only what is asked for, and nothing that the manifest does not vouch for.

use std::{
    collections::HashMap,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use bytes::Bytes;
use error::{Error, Result};

use crate::{BLOCK_TYPES, COMMAND, Entry, MANIFEST, Manifest, RELEASE, VIEWS};

/// The folder of assets of a process, or that there is none.
///
/// Nothing is read before it is asked for, so the folder may be made while a server runs. The data files are remembered,
/// as they are small; the files of the user interfaces are not.
#[derive(Debug, Default)]
pub struct Assets {
    folder: Option<PathBuf>,
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    manifest: Option<Arc<Manifest>>,
    /// When the manifest was written that was there at the last [`Assets::current`].
    written: Option<SystemTime>,
    data: HashMap<String, Bytes>,
}

/// Why a file can't be had.
#[derive(Debug, thiserror::Error)]
enum Unavailable {
    #[error("Prefect's data is not there: `{COMMAND}` takes it from an installed package")]
    Absent,
    #[error("the data is of Prefect {0}, where {RELEASE} is needed: `{COMMAND}` replaces it")]
    Release(String),
    #[error("{path} is not what the manifest says: {0} (`{COMMAND}` makes it again)", path = .1.display())]
    Damaged(String, PathBuf),
}

impl From<Unavailable> for Error {
    fn from(unavailable: Unavailable) -> Self {
        match unavailable {
            Unavailable::Absent | Unavailable::Release(_) => Self::not_found_in_words(unavailable.to_string()),
            Unavailable::Damaged(..) => Self::Internal(unavailable.to_string()),
        }
    }
}

impl Assets {
    /// Reads from `folder`, which need not be there; without one there are no assets.
    pub fn new(folder: Option<PathBuf>) -> Self {
        Self { folder, memory: Mutex::default() }
    }

    /// Returns the folder, which need not be there.
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// Says whether the folder has data of the right release.
    ///
    /// # Errors
    /// [`Error::NotFound`] with the command that makes the folder, if there is none or it is of another release;
    /// [`Error::Internal`] if its manifest can't be read.
    pub async fn check(&self) -> Result<()> {
        self.manifest().await?;
        Ok(())
    }

    /// Returns the manifest of the folder as it is at the moment, and when it was written.
    ///
    /// Costs a look at the file each time, and forgets what was read of a folder that was replaced.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub async fn current(&self) -> Result<(Arc<Manifest>, SystemTime)> {
        let folder = self.folder.as_ref().ok_or(Unavailable::Absent)?;
        let written = tokio::fs::metadata(folder.join(MANIFEST)).await.and_then(|metadata| metadata.modified());
        let written = written.map_err(|error| self.no_manifest(&error))?;
        if self.memory().written != Some(written) {
            *self.memory() = Memory { written: Some(written), ..Memory::default() };
        }
        Ok((self.manifest().await?, written))
    }

    /// Returns the block types that Prefect installs, as JSON ([`BLOCK_TYPES`] says in which form).
    ///
    /// # Errors
    /// As [`check`](Self::check), and [`Error::Internal`] if the file is not what the manifest says.
    pub async fn block_types(&self) -> Result<Bytes> {
        let content = self.data(BLOCK_TYPES).await?;
        content.ok_or_else(|| self.damaged(BLOCK_TYPES, "it is not listed").into())
    }

    /// Returns the SHA-256 of the block types, from the manifest alone, to tell whether they have changed.
    ///
    /// # Errors
    /// As [`check`](Self::check), and [`Error::Internal`] if they are not listed.
    pub async fn block_types_digest(&self) -> Result<String> {
        let manifest = self.manifest().await?;
        let entry = manifest.files.get(BLOCK_TYPES);
        entry.map(|entry| entry.sha256.clone()).ok_or_else(|| self.damaged(BLOCK_TYPES, "it is not listed").into())
    }

    /// Returns the text of a view, as `GET /collections/views/{view}` answers it; nothing if the package has none.
    ///
    /// # Errors
    /// As [`block_types`](Self::block_types).
    pub async fn view(&self, view: &str) -> Result<Option<Bytes>> {
        self.data(&format!("{VIEWS}/{view}.json")).await
    }

    /// Returns the content of any file, such as `ui/index.html`; nothing if the manifest lists none of that path.
    ///
    /// # Errors
    /// As [`block_types`](Self::block_types).
    pub async fn file(&self, path: &str) -> Result<Option<Bytes>> {
        Ok(self.read(path).await?)
    }

    /// Reads a file and remembers it.
    async fn data(&self, path: &str) -> Result<Option<Bytes>> {
        if let Some(content) = self.memory().data.get(path).cloned() {
            return Ok(Some(content));
        }
        let content = self.read(path).await?;
        if let Some(content) = &content {
            self.memory().data.insert(path.to_owned(), content.clone());
        }
        Ok(content)
    }

    /// Reads a file that the manifest lists.
    ///
    /// The folder may have been replaced since the manifest was read, so what does not fit is looked at once more.
    async fn read(&self, path: &str) -> Result<Option<Bytes>, Unavailable> {
        let manifest = self.manifest().await?;
        match self.read_listed(path, &manifest).await {
            Err(Unavailable::Damaged(..)) => {
                self.memory().manifest = None;
                let manifest = self.manifest().await?;
                self.read_listed(path, &manifest).await
            }
            read => read,
        }
    }

    async fn read_listed(&self, path: &str, manifest: &Manifest) -> Result<Option<Bytes>, Unavailable> {
        let Some(entry) = manifest.files.get(path) else { return Ok(None) };
        let folder = self.folder.as_ref().ok_or(Unavailable::Absent)?;
        let content = tokio::fs::read(folder.join(path)).await;
        let content = content.map_err(|error| self.damaged(path, &error.to_string()))?;
        if Entry::of(&content) != *entry {
            return Err(self.damaged(path, "its content is another"));
        }
        Ok(Some(content.into()))
    }

    /// Returns the manifest, which is remembered once it was read.
    async fn manifest(&self) -> Result<Arc<Manifest>, Unavailable> {
        if let Some(manifest) = self.memory().manifest.clone() {
            return Ok(manifest);
        }
        let folder = self.folder.as_ref().ok_or(Unavailable::Absent)?;
        let text = tokio::fs::read(folder.join(MANIFEST)).await.map_err(|error| self.no_manifest(&error))?;
        let manifest: Manifest =
            serde_json::from_slice(&text).map_err(|error| self.damaged(MANIFEST, &error.to_string()))?;
        if manifest.release != RELEASE {
            return Err(Unavailable::Release(manifest.release));
        }
        let manifest = Arc::new(manifest);
        self.memory().manifest = Some(manifest.clone());
        Ok(manifest)
    }

    fn no_manifest(&self, error: &io::Error) -> Unavailable {
        match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => Unavailable::Absent,
            _ => self.damaged(MANIFEST, &error.to_string()),
        }
    }

    fn damaged(&self, path: &str, problem: &str) -> Unavailable {
        Unavailable::Damaged(problem.to_owned(), self.folder.clone().unwrap_or_default().join(path))
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const VIEW: &str = "views/some.json";

    fn write(folder: &Path, release: &str, files: &[(&str, &str)]) {
        for (path, content) in files {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        let manifest = Manifest::of(release, files.iter().map(|(path, content)| (*path, content.as_bytes())));
        fs::write(folder.join(MANIFEST), serde_json::to_vec(&manifest).unwrap()).unwrap();
    }

    fn assets(folder: &Path) -> Assets {
        Assets::new(Some(folder.to_owned()))
    }

    #[tokio::test]
    async fn what_is_missing_names_the_command() {
        let empty = tempfile::tempdir().unwrap();
        for assets in [Assets::default(), assets(empty.path()), assets(&empty.path().join("nowhere"))] {
            let error = assets.view("some").await.unwrap_err();
            assert!(matches!(&error, Error::NotFound(_)) && error.to_string().contains("proctor assets"), "{error}");
            assert!(assets.check().await.is_err());
        }
    }

    #[tokio::test]
    async fn a_folder_that_is_made_later_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let assets = assets(folder.path());
        assert!(assets.view("some").await.is_err());
        write(folder.path(), RELEASE, &[(VIEW, "{}"), (BLOCK_TYPES, "[]")]);
        assert_eq!(assets.view("some").await.unwrap().as_deref(), Some(b"{}".as_slice()));
        assert_eq!(assets.block_types().await.unwrap(), "[]");
        assert_eq!(assets.block_types_digest().await.unwrap(), Entry::of(b"[]").sha256);
        assert_eq!(assets.view("other").await.unwrap(), None);
    }

    #[tokio::test]
    async fn only_listed_files_are_read() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("secret"), "secret").unwrap();
        let inner = folder.path().join("assets");
        write(&inner, RELEASE, &[("ui/index.html", "<html>")]);
        fs::write(inner.join("unlisted"), "unlisted").unwrap();
        let assets = assets(&inner);
        assert_eq!(assets.file("ui/index.html").await.unwrap().as_deref(), Some(b"<html>".as_slice()));
        for path in ["../secret", "ui/../../secret", "unlisted", MANIFEST, "", "/etc/passwd", "ui"] {
            assert_eq!(assets.file(path).await.unwrap(), None, "{path}");
        }
    }

    #[tokio::test]
    async fn nothing_is_read_that_differs_from_the_manifest() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), RELEASE, &[(VIEW, "{}")]);
        fs::write(folder.path().join(VIEW), "[]").unwrap();
        let error = assets(folder.path()).view("some").await.unwrap_err();
        assert!(matches!(&error, Error::Internal(_)) && error.to_string().contains("proctor assets"), "{error}");
        fs::remove_file(folder.path().join(VIEW)).unwrap();
        assert!(matches!(assets(folder.path()).view("some").await, Err(Error::Internal(_))));
        fs::write(folder.path().join(MANIFEST), "{").unwrap();
        assert!(matches!(assets(folder.path()).check().await, Err(Error::Internal(_))));
    }

    #[tokio::test]
    async fn a_folder_that_was_replaced_is_read_by_its_own_manifest() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), RELEASE, &[(VIEW, "{}"), ("ui/a.js", "a")]);
        let assets = assets(folder.path());
        assert!(assets.file("ui/a.js").await.unwrap().is_some());
        write(folder.path(), RELEASE, &[(VIEW, "{}"), ("ui/a.js", "another")]);
        assert_eq!(assets.file("ui/a.js").await.unwrap().as_deref(), Some(b"another".as_slice()));
    }

    #[tokio::test]
    async fn a_look_at_the_folder_notices_that_it_was_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let assets = assets(folder.path());
        assert!(matches!(assets.current().await, Err(Error::NotFound(_))));
        write(folder.path(), RELEASE, &[(VIEW, "{}")]);
        let (first, written) = assets.current().await.unwrap();
        assert!(!first.files.contains_key("ui/a.js"));
        write(folder.path(), RELEASE, &[(VIEW, "{}"), ("ui/a.js", "a")]);
        let later = written + std::time::Duration::from_secs(1);
        fs::File::options().write(true).open(folder.path().join(MANIFEST)).unwrap().set_modified(later).unwrap();
        let (second, seen) = assets.current().await.unwrap();
        assert!(second.files.contains_key("ui/a.js"));
        assert_eq!(seen, later);
    }

    #[tokio::test]
    async fn data_of_another_release_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "3.8.8", &[(VIEW, "{}")]);
        let error = assets(folder.path()).view("some").await.unwrap_err();
        assert!(error.to_string().contains("3.8.8") && error.to_string().contains(RELEASE), "{error}");
    }
}
