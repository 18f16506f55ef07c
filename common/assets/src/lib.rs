//! What Prefect ships as data, in a folder that `proctor assets` makes and a server reads.
//!
//! None of it is in this repository. The folder has what Prefect installs as block types, what it knows of workers, and
//! its built user interfaces; a [`Manifest`] names each file with its digest. Where there is no folder, the API works, and
//! what would need a file says which command makes it.

mod folder;
mod manifest;

pub use folder::Assets;
pub use manifest::{Entry, Manifest};

/// The release of Prefect that the data must be of.
pub const RELEASE: &str = "3.9.1";

/// The command that makes the folder, as a person types it.
pub const COMMAND: &str = "proctor assets";

/// The file that names all others.
pub const MANIFEST: &str = "manifest.json";

/// The block types that Prefect installs, in the form of its registry of other packages' blocks.
///
/// `{"collections": {PACKAGE: {"block_types": {SLUG: {…, "block_schema": {…}}}}}}`. Those that Prefect has in its own code
/// are the first package, `prefect`; what is protected among them has `"is_protected": true`.
pub const BLOCK_TYPES: &str = "block_types.json";

/// The folder of the views that `GET /collections/views/{view}` answers, each as the text of its answer.
pub const VIEWS: &str = "views";

/// The folders of the built user interfaces, the first and the second, each with an `index.html`.
pub const INTERFACES: [&str; 2] = ["ui", "ui-v2"];
