//! Installation of the block types that Prefect ships, from a file of its registry's form.
//!
//! `{"collections": {PACKAGE: {"block_types": {SLUG: {…, "block_schema": {…}}}}}}`. None of it is in this repository: the
//! command `proctor assets` takes it from Prefect's package. An installation is repeated without harm, and one that would
//! change nothing is over after one read, because the digest of the last one is noted.

use futures::{StreamExt, TryStreamExt, stream};
use serde::Deserialize;
use serde_json::{Map, Value};

use assets::{Assets, BLOCK_TYPES};
use domain::model::{BlockType, BlockTypeId, Object, Timestamp, block_type::escaped};
use error::{Error, Result};
use store::block_types::InstalledBlockTypes;

use super::schemas::{self, NewBlockSchema};
use crate::App;

/// The types that can't be deleted, where the file does not say of each whether it can.
const PROTECTED: [&str; 3] = ["webhook", "secret", "local-file-system"];

/// How many types are written at once; schemas are registered one after another, as one may be within the next.
const AT_ONCE: usize = 8;

/// The registry, as far as it is installed.
#[derive(Debug, Deserialize)]
struct Registry {
    collections: Map<String, Value>,
}

/// A package of the registry.
#[derive(Debug, Deserialize)]
struct Package {
    #[serde(default)]
    block_types: Map<String, Value>,
}

/// A block type of the registry.
#[derive(Debug, Deserialize)]
struct Entry {
    name: String,
    slug: String,
    logo_url: Option<String>,
    documentation_url: Option<String>,
    description: Option<String>,
    code_example: Option<String>,
    is_protected: Option<bool>,
    block_schema: Schema,
}

/// The schema of a block type of the registry.
#[derive(Debug, Deserialize)]
struct Schema {
    fields: Object,
    #[serde(default)]
    capabilities: Vec<String>,
    version: Option<String>,
}

/// What an installation did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Installed {
    /// The types were installed already.
    Before,
    /// So many types were installed, or found to be as they should be.
    Types(usize),
}

/// Installs the block types of `assets`, unless the last installation was of the same.
///
/// A type that is there is brought up to date, and keeps its id and its documents. Schemas that are there stay as they are.
///
/// # Errors
/// [`Error::NotFound`] with the command that makes the assets, if there are none; [`Error::Internal`] for a file of another
/// form, and those of the store; what was installed by then stays.
pub async fn install_once(app: &App, assets: &Assets) -> Result<Installed> {
    let installed = InstalledBlockTypes { digest: assets.block_types_digest().await? };
    let last = app.store.installed_block_types().await?;
    if last.is_some_and(|last| last.record == installed) {
        return Ok(Installed::Before);
    }
    let types = install(app, &assets.block_types().await?).await?;
    app.store.note_installed_block_types(&installed).await?;
    Ok(Installed::Types(types))
}

/// Installs the block types of the registry `text`, also those that somebody has deleted since; returns how many they are.
///
/// # Errors
/// Those of [`install_once`].
pub async fn install(app: &App, text: &[u8]) -> Result<usize> {
    let entries = entries(text)?;
    let installed: Vec<(BlockType, Schema)> = stream::iter(entries)
        .map(|entry| async move { install_type(app, entry).await })
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    // A schema names the types of the blocks within the block, so these are all there before.
    let count = installed.len();
    for (block_type, schema) in installed {
        let Schema { fields, capabilities, version } = schema;
        let version = version.unwrap_or_else(|| "non-versioned".into());
        let slug = block_type.slug.clone();
        let registered = schemas::register(app, &NewBlockSchema { fields, block_type, capabilities, version }).await;
        // One that can't be registered is no reason to go without the others, as in Prefect.
        match registered {
            Ok(_) => {}
            Err(error) if error.status().is_server_error() => return Err(error),
            Err(error) => tracing::error!(slug, %error, "the schema of a block type can't be registered"),
        }
    }
    Ok(count)
}

fn entries(text: &[u8]) -> Result<Vec<Entry>> {
    let malformed = |what: &str, error: serde_json::Error| {
        Error::Internal(format!("{BLOCK_TYPES} is not of the form of Prefect's registry: {what}: {error}"))
    };
    let registry: Registry = serde_json::from_slice(text).map_err(|error| malformed("collections", error))?;
    let mut entries = Vec::new();
    for (name, package) in registry.collections {
        let package: Package = serde_json::from_value(package).map_err(|error| malformed(&name, error))?;
        for (slug, entry) in package.block_types {
            entries.push(serde_json::from_value(entry).map_err(|error| malformed(&slug, error))?);
        }
    }
    Ok(entries)
}

async fn install_type(app: &App, entry: Entry) -> Result<(BlockType, Schema)> {
    let now = app.now();
    let is_protected = entry.is_protected.unwrap_or_else(|| PROTECTED.contains(&entry.slug.as_str()));
    let block_type = BlockType {
        id: BlockTypeId::new(),
        created: now,
        updated: now,
        name: entry.name,
        slug: entry.slug,
        logo_url: entry.logo_url,
        documentation_url: entry.documentation_url,
        description: entry.description.as_deref().map(escaped),
        code_example: entry.code_example.as_deref().map(escaped),
        is_protected,
    };
    let change = |found: &mut BlockType| bring_up_to_date(found, &block_type, now);
    let installed = app.store.install_block_type(&block_type, change).await?;
    Ok((installed, entry.block_schema))
}

/// Makes of the type that was `found` what is `shipped`; its time changes only if anything else does.
fn bring_up_to_date(found: &mut BlockType, shipped: &BlockType, now: Timestamp) {
    let after = BlockType {
        id: found.id,
        created: found.created,
        updated: found.updated,
        // Protection is only ever given.
        is_protected: found.is_protected || shipped.is_protected,
        ..shipped.clone()
    };
    if after != *found {
        *found = BlockType { updated: now, ..after };
    }
}
