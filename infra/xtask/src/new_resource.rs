//! Starts the crate of a resource, and its record: what is left to do is to make it the contract's, and its verbs.

use std::{
    collections::BTreeSet,
    env,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::{
    Error, NewRecord, Result, record, sources,
    stale::{self, Change},
};

/// The crates of Rust itself, of whose names a crate in their place could not speak.
const OF_RUST: [&str; 5] = ["alloc", "core", "proc_macro", "std", "test"];

/// Creates the crate `functions/NAME` in the repository at `root`, and registers it; returns the files it wrote.
///
/// A `record`, such as `SavedSearch`, is started in `common` as well.
pub fn new_resource(root: &Path, name: &str, record: Option<NewRecord<'_>>) -> Result<Vec<PathBuf>> {
    if !is_name(name) {
        return Err(Error::Name(name.to_owned()));
    }
    refuse_taken(root, name)?;
    let of_record = record.map(|record| record::files(root, record, name)).transpose()?.unwrap_or_default();
    let directory = Path::new("functions").join(name);
    let mut written = vec![directory.join("Cargo.toml"), directory.join("src/lib.rs")];
    for (file, text) in written.iter().zip([manifest(name), library(name)]) {
        stale::write(root, file, &Change::Write(text))?;
    }
    for (file, change) in stale::registry(root, &sources::resources(root)?)? {
        stale::write(root, &file, &change)?;
        written.push(file);
    }
    written.extend(record::write(root, of_record)?);
    Ok(written)
}

/// Says whether `name` is words of small letters and digits with an underscore between them, and no word of Rust.
fn is_name(name: &str) -> bool {
    let is_word = |word: &str| {
        !word.is_empty() && word.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit())
    };
    name.split('_').all(is_word) && syn::parse_str::<syn::Ident>(name).is_ok() && !OF_RUST.contains(&name)
}

fn refuse_taken(root: &Path, name: &str) -> Result<()> {
    let taken = |what| Err(Error::Exists(name.to_owned(), what));
    if root.join("functions").join(name).exists() {
        return taken("functions/ has it");
    }
    let (packages, dependencies) = packages(root)?;
    if packages.contains(name) {
        return taken("a package of the workspace is called that");
    }
    if dependencies.contains(name) {
        return taken("the workspace depends on a package that is called that");
    }
    if infra::templates().contains_key(&format!("{name}.json")) {
        return taken("a stack of the infrastructure is called that");
    }
    Ok(())
}

/// Returns the names of the workspace's packages, and of those that they depend on.
fn packages(root: &Path) -> Result<(BTreeSet<String>, BTreeSet<String>)> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let arguments = ["metadata", "--no-deps", "--offline", "--format-version", "1"];
    let output = Command::new(cargo).args(arguments).current_dir(root).output().map_err(Error::Cargo)?;
    if !output.status.success() {
        return Err(Error::Workspace(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let (mut names, mut dependencies) = (BTreeSet::new(), BTreeSet::new());
    for package in metadata["packages"].as_array().into_iter().flatten() {
        names.extend(package["name"].as_str().map(str::to_owned));
        let of_package = package["dependencies"].as_array().into_iter().flatten();
        dependencies.extend(of_package.filter_map(|dependency| dependency["name"].as_str()).map(str::to_owned));
    }
    Ok((names, dependencies))
}

fn manifest(name: &str) -> String {
    let words = name.replace('_', " ");
    format!(
        r#"[package]
name = "{name}"
description = "The functions of the {words} resource."
version.workspace = true
edition.workspace = true
rust-version.workspace = true
license.workspace = true
publish.workspace = true

[dependencies]
axum.workspace = true
common.workspace = true
serde.workspace = true

[lints]
workspace = true
"#
    )
}

fn library(name: &str) -> String {
    let words = name.replace('_', " ");
    format!(
        "//! The {words} resource: one verb, one file.

use common::http::Route;

/// The routes of this resource.
pub static ROUTES: &[&Route] = &[];
"
    )
}

#[cfg(test)]
mod tests {
    use super::is_name;

    #[test]
    fn a_name_is_snake_case_and_no_word_of_rust() {
        for name in ["flows", "saved_searches", "concurrency_limits_v2"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "Flows", "saved-searches", "_flows", "flows_", "a__b", "2nd", "größe", "../x", "type", "core"]
        {
            assert!(!is_name(name), "{name}");
        }
    }
}
