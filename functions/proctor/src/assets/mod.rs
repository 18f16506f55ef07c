//! `assets`: takes what Prefect ships as data from an installed package or a wheel, into a folder that servers read.
//!
//! No code of the package runs. Its files are held against the digests that it came with, and what Prefect would compute
//! when it starts is derived from the text of its modules.

mod block_types;
pub(crate) mod folder;
mod package;
mod python;
mod source;

use std::{
    collections::BTreeMap,
    fmt, io,
    path::{Path, PathBuf},
};

use clap::{Args, ValueHint};
use common::assets::{BLOCK_TYPES, INTERFACES, RELEASE, VIEWS};
use serde::Serialize;
use serde_json::Value;

use crate::output::Form;
use package::Package;
use source::Source;

/// The arguments of `assets`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Where the package is: a Python or a virtual environment that has it, the folder that it is installed in, or a
    /// wheel. Without this, `python3` is asked, and where that has none, pip fetches the wheel.
    #[arg(long, value_name = "PACKAGE_OR_PYTHON")]
    pub from: Option<PathBuf>,
    /// The folder to make, in place of the one that the server reads.
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pub into: Option<PathBuf>,
    /// Leaves the built user interfaces out, for functions that don't serve them.
    #[arg(long)]
    pub without_ui: bool,
    /// How the work and its outcome are shown.
    #[command(flatten)]
    pub form: Form,
}

/// Why there is no folder of assets.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The interpreter can't be started.
    #[error(
        "can't run {path}: {1}. Install Python 3.9 or newer, or name a Python or what has Prefect with --from",
        path = .0.display()
    )]
    NoPython(PathBuf, io::Error),
    /// The interpreter ended with an error.
    #[error(
        "can't {1} with {path}: {2}. Mend that, or name another Python, or a wheel that \
         `pip download --no-deps prefect=={RELEASE}` has fetched, with --from", path = .0.display()
    )]
    Python(PathBuf, &'static str, String),
    /// Nothing of Prefect is there.
    #[error(
        "can't take Prefect's data from {path}: there is no Prefect package. Name a wheel, a Python that has it, or its \
         folder with --from", path = .0.display()
    )]
    NoPackage(PathBuf),
    /// The package is of another release.
    #[error(
        "can't take Prefect's data from {path}: it has Prefect {1}, and this server needs {RELEASE}. \
         `pip download --no-deps prefect=={RELEASE}` fetches a wheel, which --from takes", path = .0.display()
    )]
    Release(PathBuf, String),
    /// The package lacks a file, or has another one than it should.
    #[error(
        "can't take Prefect's data from {path}: the package is damaged: {1}. Install prefect=={RELEASE} anew, or name \
         another package with --from", path = .0.display()
    )]
    Damaged(PathBuf, String),
    /// The folder has files in it that are somebody's.
    #[error(
        "can't replace {path}: it has files that this command did not put there, such as {1}, and is left as it is. \
         Choose another folder with --into, or delete it", path = .0.display()
    )]
    NotOurs(PathBuf, String),
    /// The file system refuses something.
    #[error(
        "can't write {path}: {1}. Make room there, or choose a folder that this user may write with --into",
        path = .0.display()
    )]
    Write(PathBuf, io::Error),
    /// A file can't be read.
    #[error(
        "can't read {path}: {1}. Let this user read it, or name another package or folder with --from or --into",
        path = .0.display()
    )]
    Read(PathBuf, io::Error),
}

/// The folder that was made, or found to be as it should be.
#[derive(Debug, Serialize)]
pub struct Report {
    /// What the files are of, for readers.
    #[serde(skip)]
    pub(crate) of: &'static str,
    pub(crate) release: &'static str,
    pub(crate) folder: PathBuf,
    pub(crate) files: usize,
    pub(crate) bytes: usize,
    pub(crate) is_written: bool,
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { of, release, folder, files, bytes, is_written } = self;
        let done = if *is_written { "put into" } else { "already in" };
        let (whole, tenths, folder) = (bytes / 1_000_000, bytes / 100_000 % 10, folder.display());
        write!(formatter, "{files} files of {of} {release} ({whole}.{tenths} MB) are {done} {folder}")
    }
}

/// Makes the folder, or finds that it is as it should be.
///
/// `folder` is the one that the server reads, where the arguments name none.
///
/// # Errors
/// Each of [`Failure`]; the folder is left as it was then.
pub fn carry_out(arguments: &Arguments, folder: &Path) -> Result<Report, Failure> {
    let progress = arguments.form.progress();
    let source = Source::find(arguments.from.as_deref(), &progress)?;
    let package = source.open(&progress)?;
    progress.wait("Deriving block types");
    let files = files(&package, &source.python(), arguments.without_ui)?;
    let folder = arguments.into.as_deref().unwrap_or(folder);
    let is_written = folder::write(folder, &files, &progress)?;
    let bytes = files.values().map(Vec::len).sum();
    Ok(Report { of: "Prefect", release: RELEASE, folder: folder.to_owned(), files: files.len(), bytes, is_written })
}

/// Makes the files of the folder, by their paths, of those of the package.
fn files(package: &Package, python: &Path, without_ui: bool) -> Result<BTreeMap<String, Vec<u8>>, Failure> {
    let mut files = BTreeMap::from([
        ("LICENSE".to_owned(), package.license()?.to_vec()),
        (BLOCK_TYPES.to_owned(), block_types::all(package, python)?),
    ]);
    package.file(&format!("{}{WORKERS}", package::VIEWS))?;
    for (name, text) in package.below(package::VIEWS) {
        files.insert(format!("{VIEWS}/{name}"), view(package, name, text)?);
    }
    let interfaces = if without_ui { [].as_slice() } else { &INTERFACES };
    for interface in interfaces {
        package.file(&format!("{}{interface}/index.html", package::SERVER))?;
        for (name, content) in package.below(&format!("{}{interface}/", package::SERVER)) {
            files.insert(format!("{interface}/{name}"), content.to_vec());
        }
    }
    Ok(files)
}

/// The view of which Prefect leaves out a part, of a kind of worker that there no longer is.
const WORKERS: &str = "aggregate-worker-metadata.json";

/// Makes the text that a view is answered with.
fn view(package: &Package, name: &str, text: &[u8]) -> Result<Vec<u8>, Failure> {
    let mut view: Value = package.json(name, text)?;
    if name == WORKERS
        && let Some(workers) = view.get_mut("prefect").and_then(Value::as_object_mut)
    {
        workers.shift_remove("prefect-agent");
    }
    Ok(view.to_string().into_bytes())
}

#[cfg(test)]
mod tests {
    #[test]
    fn takes_the_release_that_is_served() {
        assert_eq!(common::assets::RELEASE, common::contract::RELEASE);
    }
}
