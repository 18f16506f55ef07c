//! Writing the folder: whole or not at all.

use std::{
    collections::BTreeMap,
    fs::{self, File, Permissions},
    io::{self, ErrorKind, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use common::assets::{Entry, MANIFEST, Manifest, RELEASE};
use rustix::{
    fs::{CWD, RenameFlags, renameat_with},
    io::Errno,
};

use super::Failure;
use crate::progress::Progress;

/// Writes `files`, by their paths, and their manifest into `folder`; says whether there was anything to write.
///
/// They are written beside the folder and change places with it, so whoever reads it finds the old files or the new ones.
/// A folder with anything in it that is not in its manifest is somebody's, and left as it is.
pub(crate) fn write(folder: &Path, files: &BTreeMap<String, Vec<u8>>, progress: &Progress) -> Result<bool, Failure> {
    progress.wait("Comparing with the folder");
    let failed = |error| Failure::Write(folder.to_owned(), error);
    // A link to a folder stays, and the folder behind it is replaced.
    let folder = match folder.canonicalize() {
        Ok(folder) => folder,
        Err(error) if error.kind() == ErrorKind::NotFound => std::path::absolute(folder).map_err(failed)?,
        Err(error) => return Err(failed(error)),
    };
    let manifest = Manifest::of(RELEASE, files.iter().map(|(path, content)| (path.as_str(), content.as_slice())));
    let is_there = match folder.try_exists().map_err(failed)? {
        true if is_current(&folder, &manifest) => return Ok(false),
        there => there,
    };
    if is_there {
        refuse_others(&folder)?;
    }
    let parent = folder.parent().ok_or_else(|| failed(ErrorKind::InvalidInput.into()))?;
    sqlite::make_directory(parent).map_err(failed)?;
    // What is left of it is deleted when it goes: nothing, the old files, or new ones that could not be written whole.
    let beside = tempfile::Builder::new().prefix(".assets-").tempdir_in(parent).map_err(failed)?;
    let new = beside.path().join("new");
    fill(&new, files, &manifest, progress).map_err(failed)?;
    if is_there {
        exchange(&new, &folder, &beside.path().join("old")).map_err(failed)?;
    } else {
        fs::rename(&new, &folder).map_err(failed)?;
    }
    sync(parent).map_err(failed)?;
    Ok(true)
}

/// Says whether the folder has the files of `manifest`, and that manifest.
fn is_current(folder: &Path, manifest: &Manifest) -> bool {
    read_manifest(folder).is_some_and(|found| found == *manifest)
        && manifest
            .files
            .iter()
            .all(|(path, entry)| fs::read(folder.join(path)).is_ok_and(|content| Entry::of(&content) == *entry))
        && others(folder, manifest).is_ok_and(|others| others.is_none())
}

fn read_manifest(folder: &Path) -> Option<Manifest> {
    serde_json::from_slice(&fs::read(folder.join(MANIFEST)).ok()?).ok()
}

/// Refuses a folder that has anything in it that this command did not put there.
fn refuse_others(folder: &Path) -> Result<(), Failure> {
    let manifest = read_manifest(folder).unwrap_or_else(|| Manifest::of(RELEASE, []));
    match others(folder, &manifest) {
        Ok(None) => Ok(()),
        Ok(Some(other)) => Err(Failure::NotOurs(folder.to_owned(), other)),
        Err(error) => Err(Failure::Read(folder.to_owned(), error)),
    }
}

/// Returns a file below the folder that is not in the manifest, if there is one.
fn others(folder: &Path, manifest: &Manifest) -> io::Result<Option<String>> {
    let mut left = vec![PathBuf::new()];
    while let Some(below) = left.pop() {
        for entry in fs::read_dir(folder.join(&below))? {
            let entry = entry?;
            let path = below.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                left.push(path);
                continue;
            }
            let name = path.to_string_lossy().into_owned();
            if name != MANIFEST && !manifest.files.contains_key(&name) {
                return Ok(Some(name));
            }
        }
    }
    Ok(None)
}

/// Writes the files into the new folder `folder`, readable by all: a function runs as another user than who deploys it.
fn fill(folder: &Path, files: &BTreeMap<String, Vec<u8>>, manifest: &Manifest, progress: &Progress) -> io::Result<()> {
    progress.count("Writing the folder", "files", Some(files.len() as u64 + 1));
    let manifest = serde_json::to_vec_pretty(manifest)?;
    let all = files.iter().map(|(path, content)| (path.as_str(), content)).chain([(MANIFEST, &manifest)]);
    let mut directories = vec![folder.to_owned()];
    fs::create_dir(folder)?;
    for (path, content) in all {
        let path = folder.join(path);
        let inner: Vec<&Path> = path.ancestors().skip(1).take_while(|above| !above.exists()).collect();
        for directory in inner.into_iter().rev() {
            fs::create_dir(directory)?;
            directories.push(directory.to_owned());
        }
        let mut file = File::create_new(&path)?;
        file.write_all(content)?;
        file.set_permissions(Permissions::from_mode(0o644))?;
        file.sync_all()?;
        progress.add(1);
    }
    for directory in directories {
        fs::set_permissions(&directory, Permissions::from_mode(0o755))?;
        sync(&directory)?;
    }
    Ok(())
}

/// Puts `new` into the place of `folder` at once, or by way of `aside` where the file system can't do that.
fn exchange(new: &Path, folder: &Path, aside: &Path) -> io::Result<()> {
    match renameat_with(CWD, new, CWD, folder, RenameFlags::EXCHANGE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => exchange_in_steps(new, folder, aside),
        done => Ok(done?),
    }
}

fn exchange_in_steps(new: &Path, folder: &Path, aside: &Path) -> io::Result<()> {
    fs::rename(folder, aside)?;
    fs::rename(new, folder).inspect_err(|_| drop(fs::rename(aside, folder)))
}

fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(content: &str) -> BTreeMap<String, Vec<u8>> {
        [("a", content), ("ui/deep/b", "b")].into_iter().map(|(path, text)| (path.into(), text.into())).collect()
    }

    #[test]
    fn a_folder_is_written_once_and_replaced_when_the_files_change() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("data/assets");
        assert!(write(&folder, &files("one"), &Progress::none()).unwrap());
        assert!(!write(&folder, &files("one"), &Progress::none()).unwrap());
        assert!(write(&folder, &files("two"), &Progress::none()).unwrap());
        assert_eq!(fs::read(folder.join("a")).unwrap(), b"two");
        fs::write(folder.join("ui/deep/b"), "damaged").unwrap();
        assert!(write(&folder, &files("two"), &Progress::none()).unwrap());
        assert_eq!(fs::read(folder.join("ui/deep/b")).unwrap(), b"b");
        let left: Vec<_> = fs::read_dir(folder.parent().unwrap()).unwrap().collect();
        assert_eq!(left.len(), 1, "nothing is left beside it: {left:?}");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&folder.join("ui")), mode(&folder.join("ui/deep/b"))), (0o755, 0o644));
    }

    #[test]
    fn what_the_new_files_lack_is_gone() {
        let place = tempfile::tempdir().unwrap();
        write(place.path(), &files("one"), &Progress::none()).unwrap();
        let fewer = BTreeMap::from([("a".to_owned(), b"one".to_vec())]);
        assert!(write(place.path(), &fewer, &Progress::none()).unwrap());
        assert!(!place.path().join("ui").exists() && place.path().join("a").exists());
    }

    #[test]
    fn what_is_somebody_s_is_left() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("thesis"), "all of it").unwrap();
        let failure = write(place.path(), &files("one"), &Progress::none()).unwrap_err();
        assert!(matches!(&failure, Failure::NotOurs(_, file) if file == "thesis"), "{failure}");
        fs::remove_file(place.path().join("thesis")).unwrap();
        write(place.path(), &files("one"), &Progress::none()).unwrap();
        fs::write(place.path().join("ui/thesis"), "all of it").unwrap();
        for content in ["one", "two"] {
            assert!(write(place.path(), &files(content), &Progress::none()).is_err());
        }
        assert_eq!(fs::read(place.path().join("ui/thesis")).unwrap(), b"all of it");
        assert_eq!(fs::read(place.path().join("a")).unwrap(), b"one");
    }

    #[test]
    fn a_link_to_a_folder_stays_one() {
        let place = tempfile::tempdir().unwrap();
        let (real, link) = (place.path().join("real"), place.path().join("link"));
        fs::create_dir(&real).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        write(&link, &files("one"), &Progress::none()).unwrap();
        assert!(link.is_symlink() && real.join("a").is_file());
    }

    #[test]
    fn a_file_system_without_an_exchange_takes_steps_that_are_taken_back() {
        let place = tempfile::tempdir().unwrap();
        let [new, folder, aside] = ["new", "folder", "aside"].map(|name| place.path().join(name));
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("a"), "old").unwrap();
        assert!(exchange_in_steps(&new, &folder, &aside).is_err(), "there is nothing new");
        assert_eq!(fs::read(folder.join("a")).unwrap(), b"old");
        fs::create_dir(&new).unwrap();
        fs::write(new.join("a"), "new").unwrap();
        exchange_in_steps(&new, &folder, &aside).unwrap();
        assert_eq!(fs::read(folder.join("a")).unwrap(), b"new");
    }
}
