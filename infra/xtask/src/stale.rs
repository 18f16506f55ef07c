//! What is generated, held against what is there.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use crate::{
    Error, Result, binaries, registration, router, samples,
    sources::{self, Resource},
    table, templates,
};

/// What has to happen to a stale file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It has to hold this.
    Write(String),
    /// It has to go: what it was derived from is gone.
    Delete,
}

/// The files that are not as they are generated, under their paths from the root of the repository.
#[derive(Debug, Default)]
pub struct Stale {
    changes: BTreeMap<PathBuf, Change>,
    is_only_the_registry: bool,
}

impl Stale {
    /// Compares every file that is generated with the one in the repository at `root`.
    pub fn find(root: &Path) -> Result<Self> {
        let resources = sources::resources(root)?;
        let changes = registry(root, &resources)?;
        if !changes.is_empty() {
            return Ok(Self { changes, is_only_the_registry: true });
        }
        let mut files = Files::new(root);
        binaries::generate(&mut files, &resources)?;
        samples::generate(&mut files)?;
        router::generate(&mut files);
        templates::generate(&mut files)?;
        table::generate(&mut files);
        Ok(Self { changes: files.changes()?, is_only_the_registry: false })
    }

    /// Returns whether every file is as it is generated.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Returns whether the registry is stale, so that the others can't be known: they are derived from what is linked.
    pub fn is_only_the_registry(&self) -> bool {
        self.is_only_the_registry
    }

    /// Returns the stale files, each with what has to happen to it.
    pub fn changes(&self) -> &BTreeMap<PathBuf, Change> {
        &self.changes
    }

    /// Makes the files of the repository at `root` what they have to be.
    pub fn write(&self, root: &Path) -> Result<()> {
        self.changes.iter().try_for_each(|(path, change)| write(root, path, change))
    }
}

impl fmt::Display for Stale {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (path, change) in &self.changes {
            let what = match change {
                Change::Write(_) => "write",
                Change::Delete => "delete",
            };
            writeln!(formatter, "{what} {}", path.display())?;
        }
        Ok(())
    }
}

/// Returns what is stale in the registration of `resources`.
pub(crate) fn registry(root: &Path, resources: &[Resource]) -> Result<BTreeMap<PathBuf, Change>> {
    let mut files = Files::new(root);
    registration::generate(&mut files, resources)?;
    files.changes()
}

/// Makes the file at `path` what it has to be.
pub(crate) fn write(root: &Path, path: &Path, change: &Change) -> Result<()> {
    let file = root.join(path);
    let written = match change {
        Change::Write(text) => file.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&file, text)),
        Change::Delete => fs::remove_file(&file),
    };
    written.map_err(|error| Error::File(path.to_owned(), error))
}

/// The files as they are generated.
pub(crate) struct Files<'r> {
    root: &'r Path,
    wanted: BTreeMap<PathBuf, String>,
    unwanted: BTreeSet<PathBuf>,
}

impl<'r> Files<'r> {
    pub(crate) fn new(root: &'r Path) -> Self {
        Self { root, wanted: BTreeMap::new(), unwanted: BTreeSet::new() }
    }

    /// Returns what the file at `path` holds now: nothing if it is not there.
    pub(crate) fn current(&self, path: impl AsRef<Path>) -> Result<String> {
        read(self.root, path.as_ref()).map(Option::unwrap_or_default)
    }

    /// Says what the file at `path` has to hold.
    pub(crate) fn put(&mut self, path: impl Into<PathBuf>, text: String) {
        self.wanted.insert(path.into(), text);
    }

    /// Says that the generator alone puts files of `extension` into `directory`; those of the names `kept` it leaves.
    pub(crate) fn own(&mut self, directory: &str, extension: &str, kept: &[&str]) -> Result<()> {
        let files = sources::entries(&self.root.join(directory))?;
        let files = files.iter().filter(|file| file.extension().is_some_and(|found| found == extension));
        for file in files.filter(|file| !kept.iter().any(|kept| file.file_stem().is_some_and(|stem| stem == *kept))) {
            self.unwanted.extend(file.file_name().map(|name| Path::new(directory).join(name)));
        }
        Ok(())
    }

    fn changes(self) -> Result<BTreeMap<PathBuf, Change>> {
        let mut changes = BTreeMap::new();
        for path in self.unwanted.into_iter().filter(|path| !self.wanted.contains_key(path)) {
            changes.insert(path, Change::Delete);
        }
        for (path, text) in self.wanted {
            if read(self.root, &path)?.as_ref() != Some(&text) {
                changes.insert(path, Change::Write(text));
            }
        }
        Ok(changes)
    }
}

fn read(root: &Path, path: &Path) -> Result<Option<String>> {
    match fs::read_to_string(root.join(path)) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::File(path.to_owned(), error)),
    }
}
