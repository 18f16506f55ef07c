//! The files of the package that matter, each as the package's own list of digests has it.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Read,
    path::{Component, Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use common::assets::{INTERFACES, RELEASE};
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::{Failure, block_types::MODULES};
use crate::progress::Progress;

/// The name of the package.
pub(super) const NAME: &str = "prefect";

/// The folder of the server in the package.
pub(super) const SERVER: &str = "prefect/server/";

/// The folder of the views that the server falls back on.
pub(super) const VIEWS: &str = "prefect/server/api/collections_data/views/";

/// Prefect's registry of the blocks of other packages.
pub(super) const REGISTRY: &str = "prefect/server/collection_blocks_data.json";

const LICENSE: &str = "licenses/LICENSE";

/// How large all files may be together, in bytes; those of the release are 17 MB.
const MOST: u64 = 256 * 1024 * 1024;

/// The files of a package that was found to be whole.
#[derive(Debug)]
pub(super) struct Package {
    place: PathBuf,
    files: BTreeMap<String, Vec<u8>>,
}

impl Package {
    /// Returns the file of this path.
    pub(super) fn file(&self, path: &str) -> Result<&[u8], Failure> {
        self.files.get(path).map(Vec::as_slice).ok_or_else(|| self.damaged(format!("it lacks {path}")))
    }

    /// Returns the licence of the package, which goes where its files go.
    pub(super) fn license(&self) -> Result<&[u8], Failure> {
        self.file(LICENSE)
    }

    /// Returns the files below `folder`, which ends with a slash, by their paths there.
    pub(super) fn below<'p>(&'p self, folder: &'p str) -> impl Iterator<Item = (&'p str, &'p [u8])> {
        self.files.iter().filter_map(move |(path, content)| Some((path.strip_prefix(folder)?, content.as_slice())))
    }

    /// Reads the text of a file as JSON.
    pub(super) fn json<T: DeserializeOwned>(&self, path: &str, text: &[u8]) -> Result<T, Failure> {
        serde_json::from_slice(text).map_err(|error| self.damaged(format!("{path} is no such JSON: {error}")))
    }

    /// Says that the package is not what it should be.
    pub(super) fn damaged(&self, problem: String) -> Failure {
        Failure::Damaged(self.place.clone(), problem)
    }
}

/// Reads the package that is installed in `folder`, or was unpacked there; `place` is how the user knows it.
pub(super) fn installed(folder: &Path, place: &Path, progress: &Progress) -> Result<Package, Failure> {
    let damaged = |problem: String| Failure::Damaged(place.to_owned(), problem);
    let metadata = metadata(folder, place)?;
    let text = |name: &str| {
        let path = format!("{metadata}{name}");
        fs::read_to_string(folder.join(&path)).map_err(|error| damaged(format!("it lacks {path} ({error})")))
    };
    let about = text("METADATA")?;
    let version = about.lines().take_while(|line| !line.is_empty()).find_map(|line| line.strip_prefix("Version: "));
    match version {
        Some(RELEASE) => {}
        Some(other) => return Err(Failure::Release(place.to_owned(), other.to_owned())),
        None => return Err(damaged("its metadata name no version".into())),
    }
    let (mut files, mut left) = (BTreeMap::new(), MOST);
    let mut recorded = recorded(&text("RECORD")?).map_err(damaged)?;
    recorded.retain(|file| wanted(&file.path, &metadata).is_some());
    progress.count("Reading the package", "files", Some(recorded.len() as u64));
    for Recorded { path, sha256, bytes } in recorded {
        let Some(known_as) = wanted(&path, &metadata) else { continue };
        left = left.checked_sub(bytes).ok_or_else(|| damaged("its files are far too large".into()))?;
        let mut content = Vec::new();
        let file = File::open(folder.join(&path)).map_err(|error| damaged(format!("it lacks {path} ({error})")))?;
        let read = file.take(bytes.saturating_add(1)).read_to_end(&mut content);
        read.map_err(|error| damaged(format!("{path} can't be read ({error})")))?;
        if URL_SAFE_NO_PAD.encode(Sha256::digest(&content)) != sha256 {
            return Err(damaged(format!("{path} is not the file that was published")));
        }
        files.insert(known_as.to_owned(), content);
        progress.add(1);
    }
    Ok(Package { place: place.to_owned(), files })
}

/// Returns the folder of the package's metadata, with a slash behind it.
fn metadata(folder: &Path, place: &Path) -> Result<String, Failure> {
    let entries = fs::read_dir(folder).map_err(|error| Failure::Read(place.to_owned(), error))?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let prefix = format!("{NAME}-");
    let mut names: Vec<String> =
        names.filter(|name| name.starts_with(&prefix) && name.ends_with(".dist-info")).collect();
    names.sort_unstable();
    match names.as_slice() {
        [] => Err(Failure::NoPackage(place.to_owned())),
        [one] => Ok(format!("{one}/")),
        several => Err(Failure::Damaged(place.to_owned(), format!("it is there as {}", several.join(" and ")))),
    }
}

/// A line of the package's list of files.
#[derive(Debug, PartialEq, Eq)]
struct Recorded {
    path: String,
    sha256: String,
    bytes: u64,
}

/// Reads the list of files, of which those without a digest are left out: compiled modules, and the list itself.
fn recorded(text: &str) -> Result<Vec<Recorded>, String> {
    let mut rows = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
    let mut files = Vec::new();
    for row in rows.deserialize::<(String, String, Option<u64>)>() {
        let (path, digest, bytes) = row.map_err(|error| format!("its list of files: {error}"))?;
        if let (Some(sha256), Some(bytes)) = (digest.strip_prefix("sha256="), bytes) {
            files.push(Recorded { path, sha256: sha256.to_owned(), bytes });
        }
    }
    Ok(files)
}

/// Returns under which path a file is taken, if it is one of those that matter.
fn wanted<'p>(path: &'p str, metadata: &str) -> Option<&'p str> {
    let is_plain = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
    let is_of_interface = || {
        let interface = path.strip_prefix(SERVER).and_then(|path| path.split_once('/'));
        interface.is_some_and(|(folder, _)| INTERFACES.contains(&folder))
    };
    let is_module = || MODULES.iter().any(|(_, file)| *file == path);
    match path.strip_prefix(metadata) {
        Some(LICENSE) => Some(LICENSE),
        _ if !is_plain => None,
        _ if path == REGISTRY || path.starts_with(VIEWS) || is_of_interface() || is_module() => Some(path),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_matters_is_taken_and_nothing_that_leads_elsewhere() {
        let wanted = |path| wanted(path, "prefect-3.9.1.dist-info/");
        for taken in ["prefect/server/ui/index.html", "prefect/server/ui-v2/assets/a.js", REGISTRY] {
            assert_eq!(wanted(taken), Some(taken));
        }
        assert_eq!(wanted("prefect-3.9.1.dist-info/licenses/LICENSE"), Some("licenses/LICENSE"));
        for left in [
            "prefect/server/ui/../../../../etc/passwd",
            "/prefect/server/ui/a",
            "prefect/server/ui_build/index.html",
            "prefect/server/uix",
            "prefect/__init__.py",
            "other-1.dist-info/licenses/LICENSE",
        ] {
            assert_eq!(wanted(left), None, "{left}");
        }
    }

    #[test]
    fn the_list_of_files_has_those_with_a_digest() {
        let text = "a.py,sha256=AbC_-,12\n__pycache__/a.pyc,,\n\"b, c.py\",sha256=x,0\nRECORD,,\n";
        let file = |path: &str, sha256: &str, bytes| Recorded { path: path.into(), sha256: sha256.into(), bytes };
        assert_eq!(recorded(text).unwrap(), [file("a.py", "AbC_-", 12), file("b, c.py", "x", 0)]);
        assert!(recorded("a.py,sha256=x,many\n").is_err());
    }
}
