//! The profiles of the workspace.

use std::{fs, path::Path};

/// A crate that is built for speed repeats the generic code of its dependencies: a handler's is then twice as large.
#[test]
fn every_crate_of_handlers_is_built_for_size() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let profiles = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let registry = fs::read_to_string(root.join("functions/registry/Cargo.toml")).unwrap();
    let crates: Vec<&str> = registry.lines().filter_map(|line| Some(line.split_once(" = { path = ")?.0)).collect();
    assert!(crates.contains(&"flow_runs"), "{crates:?}");
    let line = |name: &&str| format!("\n{name} = {{ opt-level = \"s\", strip = \"symbols\" }}\n");
    let missing: Vec<&str> = crates.into_iter().filter(|name| !profiles.contains(&line(name))).collect();
    assert_eq!(missing, [""; 0], "[profile.release.package] of Cargo.toml has no line for size");
}
