//! Where the package is: what `--from` names, or what `python3` has, or what pip fetches.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

use common::assets::RELEASE;
use tempfile::TempDir;

use super::{
    Failure,
    package::{self, Package},
    python,
};
use crate::progress::Progress;

/// The interpreter of the environment.
const PYTHON: &str = "python3";

/// A place that has the package, and the Python that goes with it.
#[derive(Debug)]
pub(super) struct Source {
    place: Place,
    python: PathBuf,
}

#[derive(Debug)]
enum Place {
    /// The folder that packages are installed in.
    Installed(PathBuf),
    Wheel(PathBuf),
    /// A wheel that was fetched, in a folder that goes with this value.
    Fetched(PathBuf, #[allow(dead_code, reason = "deletes the folder when it is dropped")] TempDir),
}

impl Source {
    /// Finds the package in `from`, or else in the environment, or else by pip.
    pub(super) fn find(from: Option<&Path>, progress: &Progress) -> Result<Self, Failure> {
        progress.wait("Looking for Prefect");
        let default = PathBuf::from(PYTHON);
        let Some(from) = from else {
            let place = match python::installed(&default)? {
                Some(folder) => Place::Installed(folder),
                None => fetch(&default, progress)?,
            };
            return Ok(Self { place, python: default });
        };
        if from.is_dir() {
            if let Some(python) = python_of(from) {
                return Self::of_python(python);
            }
            let is_package = from.file_name() == Some(OsStr::new(package::NAME)) && from.join("__init__.py").is_file();
            let folder = if is_package { from.join("..") } else { from.to_owned() };
            if !folder.join(package::NAME).is_dir() {
                return Err(Failure::NoPackage(from.to_owned()));
            }
            return Ok(Self { place: Place::Installed(folder), python: default });
        }
        if from.extension() == Some(OsStr::new("whl")) {
            return Ok(Self { place: Place::Wheel(from.to_owned()), python: default });
        }
        Self::of_python(from.to_owned())
    }

    fn of_python(python: PathBuf) -> Result<Self, Failure> {
        let folder = python::installed(&python)?.ok_or_else(|| Failure::NoPackage(python.clone()))?;
        Ok(Self { place: Place::Installed(folder), python })
    }

    /// Reads the package, and checks that it is of the right release and as it was published.
    pub(super) fn open(&self, progress: &Progress) -> Result<Package, Failure> {
        match &self.place {
            Place::Installed(folder) => package::installed(folder, folder, progress),
            Place::Wheel(file) | Place::Fetched(file, _) => {
                progress.wait("Unpacking the wheel");
                let unpacked = temporary()?;
                python::unpack(&self.python, file, unpacked.path())?;
                package::installed(unpacked.path(), file, progress)
            }
        }
    }

    /// Returns the Python that can read the text of the package's modules.
    pub(super) fn python(&self) -> PathBuf {
        self.python.clone()
    }
}

/// Returns the Python of a virtual environment.
fn python_of(environment: &Path) -> Option<PathBuf> {
    let names = ["bin/python3", "bin/python", "Scripts/python.exe"];
    names.map(|name| environment.join(name)).into_iter().find(|python| python.is_file())
}

fn temporary() -> Result<TempDir, Failure> {
    tempfile::tempdir().map_err(|error| Failure::Write(std::env::temp_dir(), error))
}

/// Has pip fetch the wheel, and nothing that would have to be built.
fn fetch(python: &Path, progress: &Progress) -> Result<Place, Failure> {
    progress.note(&format!("{} has no Prefect: pip fetches the wheel of {RELEASE}", python.display()));
    progress.wait("Fetching the wheel");
    let temporary = temporary()?;
    let folder = temporary.path();
    python::download(python, &format!("{}=={RELEASE}", package::NAME), folder)?;
    let read = |error| Failure::Read(folder.to_owned(), error);
    let mut entries = folder.read_dir().map_err(read)?;
    let file = entries.next().ok_or_else(|| Failure::NoPackage(folder.to_owned()))?.map_err(read)?.path();
    Ok(Place::Fetched(file, temporary))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_folder_without_the_package_is_none() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(Source::find(Some(folder.path()), &Progress::none()), Err(Failure::NoPackage(_))));
    }

    #[test]
    fn the_folder_of_packages_and_the_package_in_it_are_the_same_place() {
        let folder = tempfile::tempdir().unwrap();
        let package = folder.path().join("prefect");
        fs::create_dir(&package).unwrap();
        fs::write(package.join("__init__.py"), "").unwrap();
        for named in [folder.path(), &package] {
            let Place::Installed(found) = Source::find(Some(named), &Progress::none()).unwrap().place else {
                panic!("{named:?}")
            };
            assert_eq!(found.canonicalize().unwrap(), folder.path().canonicalize().unwrap());
        }
    }

    #[test]
    fn a_python_that_is_not_there_is_named() {
        let failure = Source::find(Some(Path::new("/nowhere/python3")), &Progress::none()).unwrap_err();
        assert!(matches!(&failure, Failure::NoPython(..)) && failure.to_string().contains("/nowhere/python3"));
    }
}
