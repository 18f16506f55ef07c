//! All block types that Prefect installs: those of its registry, and those that it declares as classes.
//!
//! Prefect's server makes the schemas of its own classes by pydantic when it starts. Here they are derived from the text of
//! their modules (`core_block_types.py`), so that no code of the package runs, and held against a digest of what Prefect
//! 3.9.1 makes of them.

use std::path::Path;

use common::assets::RELEASE;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::{
    Failure,
    package::{NAME, Package, REGISTRY},
    python,
};

/// The modules whose block types Prefect's server installs, with their files, bases before what derives from them.
pub(super) const MODULES: [(&str, &str); 5] = [
    ("prefect.blocks.abstract", "prefect/blocks/abstract.py"),
    ("prefect.blocks.webhook", "prefect/blocks/webhook.py"),
    ("prefect.blocks.system", "prefect/blocks/system.py"),
    ("prefect.filesystems", "prefect/filesystems.py"),
    ("prefect.blocks.notifications", "prefect/blocks/notifications.py"),
];

const DERIVE: &str = include_str!("core_block_types.py");

/// The SHA-256 of the block types of [`MODULES`], as compact JSON.
const DERIVED: &str = "bd19d6fb70713e58857d8d0558fe541954bf86dc9e28d7e6df2d4424859b00cf";

/// The block types that Prefect lets nobody delete (`_install_protected_system_blocks`).
const PROTECTED: [&str; 3] = ["webhook", "secret", "local-file-system"];

/// Returns all block types, in the form of Prefect's registry; those that Prefect installs first come first.
pub(super) fn all(package: &Package, python: &Path) -> Result<Vec<u8>, Failure> {
    let registry: Value = package.json(REGISTRY, package.file(REGISTRY)?)?;
    let Some(registry) = registry.get("collections").and_then(Value::as_object) else {
        return Err(package.damaged(format!("{REGISTRY} has no collections")));
    };
    let mut collections = Map::from_iter([(NAME.to_owned(), json!({ "block_types": own(package, python)? }))]);
    collections.extend(registry.clone());
    Ok(json!({ "collections": collections }).to_string().into_bytes())
}

/// Derives the block types of the package's own classes, by their slugs.
fn own(package: &Package, python: &Path) -> Result<Value, Failure> {
    let mut modules = Map::new();
    for (name, file) in MODULES {
        modules.insert(name.to_owned(), String::from_utf8_lossy(package.file(file)?).into());
    }
    let mut derived = python::evaluate(python, DERIVE, &json!({ "version": RELEASE, "modules": modules }))?;
    let digest = format!("{:x}", Sha256::digest(derived.to_string()));
    if digest != DERIVED {
        return Err(
            package.damaged(format!("its block types are not those of {RELEASE} (they have the digest {digest})"))
        );
    }
    for slug in PROTECTED {
        if let Some(block_type) = derived.get_mut(slug) {
            block_type["is_protected"] = true.into();
        }
    }
    Ok(derived)
}
