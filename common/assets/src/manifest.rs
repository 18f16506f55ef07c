//! The list of the folder's files, by which each of them is checked when it is read.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What is in a folder of assets.
///
/// It says nothing of when and where it was made, so the same package always makes the same manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The release of Prefect that the files are of.
    pub release: String,
    /// The files by their paths within the folder, with slashes.
    pub files: BTreeMap<String, Entry>,
}

/// A file of the folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The SHA-256 of the content, in hexadecimal digits.
    pub sha256: String,
    /// The size, in bytes.
    pub bytes: u64,
}

impl Entry {
    /// Describes a file of this content.
    pub fn of(content: &[u8]) -> Self {
        Self { sha256: format!("{:x}", Sha256::digest(content)), bytes: content.len() as u64 }
    }
}

impl Manifest {
    /// Lists `files`, by their paths, as those of `release`.
    pub fn of<'f>(release: &str, files: impl IntoIterator<Item = (&'f str, &'f [u8])>) -> Self {
        let files = files.into_iter().map(|(path, content)| (path.to_owned(), Entry::of(content)));
        Self { release: release.to_owned(), files: files.collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_described_by_its_size_and_digest() {
        let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Entry::of(b"abc"), Entry { sha256: digest.into(), bytes: 3 });
    }
}
