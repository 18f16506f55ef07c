//! What is derived from the routes and the table is written here, and nowhere by hand.
//!
//! The generator links what it describes: the routes with their access, and the table. So it can't misread them, and it
//! links the AWS SDK, which every handler does; it links no SQLite, which only the local server needs. Two things no
//! linked route tells, and they are read from the sources: which `static` declares it, and which crates there are.

mod binaries;
mod error;
mod new_resource;
mod record;
mod registration;
mod router;
pub mod sample;
mod samples;
mod sources;
mod stale;
mod table;
mod templates;

use std::{
    env, fs,
    path::{Path, PathBuf},
};

pub use error::{Error, Result};
pub use new_resource::new_resource;
pub use record::NewRecord;
pub use stale::{Change, Stale};

/// Returns the root of the repository around the current directory: where the manifest of a workspace is.
pub fn repository() -> Result<PathBuf> {
    let here = env::current_dir().map_err(|error| Error::File(".".into(), error))?;
    here.ancestors().find(|directory| is_workspace(directory)).map(Path::to_owned).ok_or(Error::Outside)
}

fn is_workspace(directory: &Path) -> bool {
    let manifest = fs::read_to_string(directory.join("Cargo.toml")).unwrap_or_default();
    manifest.lines().any(|line| line == "[workspace]")
}
