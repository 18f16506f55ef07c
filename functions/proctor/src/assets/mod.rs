//! `assets`: takes what Prefect ships as data from an installed package or a wheel, into a folder that servers read.
//!
//! No code of the package runs. Its files are held against the digests that it came with, and what Prefect would compute
//! when it starts is derived from the text of its modules.

mod block_types;
mod folder;
mod package;
mod python;
mod source;

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use clap::Args;
use common::assets::{BLOCK_TYPES, INTERFACES, RELEASE, VIEWS};
use serde_json::Value;

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
    #[arg(long, value_name = "FOLDER")]
    pub into: Option<PathBuf>,
    /// Leaves the built user interfaces out, for functions that don't serve them.
    #[arg(long)]
    pub without_ui: bool,
}

/// Why there is no folder of assets.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The interpreter can't be started.
    #[error("can't run {path}: {1} (Python 3.9 or newer is needed; name one, or what has Prefect, with --from)", path = .0.display())]
    NoPython(PathBuf, io::Error),
    /// The interpreter ended with an error.
    #[error("{path} could not {1}: {2}", path = .0.display())]
    Python(PathBuf, &'static str, String),
    /// Nothing of Prefect is there.
    #[error("there is no Prefect package in {path} (--from takes a wheel, a Python that has it, or its folder)", path = .0.display())]
    NoPackage(PathBuf),
    /// The package is of another release.
    #[error(
        "{path} has Prefect {1}, and this server needs the data of {RELEASE}: \
         `pip download --no-deps prefect=={RELEASE}` fetches a wheel, which --from takes", path = .0.display()
    )]
    Release(PathBuf, String),
    /// The package lacks a file, or has another one than it should.
    #[error("the package in {path} is damaged: {1}", path = .0.display())]
    Damaged(PathBuf, String),
    /// The folder has files in it that are somebody's.
    #[error(
        "{path} has files that this command did not put there, such as {1}, and is left as it is: \
         choose another folder with --into, or delete it", path = .0.display()
    )]
    NotOurs(PathBuf, String),
    /// The file system refuses something.
    #[error("can't write {path}: {1}", path = .0.display())]
    Write(PathBuf, io::Error),
    /// A file can't be read.
    #[error("can't read {path}: {1}", path = .0.display())]
    Read(PathBuf, io::Error),
}

/// Makes the folder, or finds that it is as it should be; returns what to print.
///
/// `folder` is the one that the server reads, where the arguments name none.
///
/// # Errors
/// Each of [`Failure`]; the folder is left as it was then.
pub fn carry_out(arguments: &Arguments, folder: &Path) -> Result<String, Failure> {
    let source = Source::find(arguments.from.as_deref())?;
    let package = source.open()?;
    let files = files(&package, &source.python(), arguments.without_ui)?;
    let folder = arguments.into.as_deref().unwrap_or(folder);
    let is_written = folder::write(folder, &files)?;
    let done = if is_written { "put into" } else { "already in" };
    let megabytes = files.values().map(Vec::len).sum::<usize>() / 100_000;
    let (files, whole, tenths, folder) = (files.len(), megabytes / 10, megabytes % 10, folder.display());
    Ok(format!("{files} files of Prefect {RELEASE} ({whole}.{tenths} MB) are {done} {folder}"))
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
