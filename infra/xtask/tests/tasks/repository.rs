//! A copy of the repository, for tests that change it.

use std::{fs, path::Path};

use tempfile::TempDir;

/// What the generator reads and writes, and what a workspace consists of.
const PARTS: [&str; 10] = [
    "Cargo.toml",
    "CargoLambda.toml",
    "common",
    "docs",
    "events",
    "functions",
    "infra",
    "tests/benchmark",
    "tests/relay",
    "tests/runtime_api",
];

/// A copy of the repository, which goes when it is dropped.
pub(crate) struct Repository(TempDir);

impl Repository {
    pub(crate) fn copy() -> Self {
        let copy = Self(tempfile::tempdir().unwrap());
        let original = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        for part in PARTS {
            copy_all(&original.join(part), &copy.root().join(part));
        }
        copy
    }

    pub(crate) fn root(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn read(&self, file: &str) -> String {
        fs::read_to_string(self.root().join(file)).unwrap()
    }

    pub(crate) fn write(&self, file: &str, text: &str) {
        let file = self.root().join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    pub(crate) fn remove(&self, file: &str) {
        fs::remove_file(self.root().join(file)).unwrap();
    }
}

fn copy_all(from: &Path, to: &Path) {
    if from.is_dir() {
        for entry in fs::read_dir(from).unwrap() {
            let path = entry.unwrap().path();
            copy_all(&path, &to.join(path.file_name().unwrap()));
        }
    } else {
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(from, to).unwrap();
    }
}
