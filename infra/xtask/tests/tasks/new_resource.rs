//! A new resource is a crate of the workspace, registered, and nothing is left to be done but its verbs.

use std::process::Command;

use serde_json::Value;
use xtask::{Stale, new_resource};

use crate::{repository::Repository, run};

const LIST: &str = "functions/registry/src/resources.rs";

/// Returns what cargo makes of the package `name`.
fn package(repository: &Repository, name: &str) -> Option<Value> {
    let arguments = ["metadata", "--no-deps", "--offline", "--format-version", "1"];
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(repository.root()).output().unwrap();
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    metadata["packages"].as_array().unwrap().iter().find(|package| package["name"] == name).cloned()
}

#[test]
fn it_is_registered_in_its_place() {
    let copy = Repository::copy();
    let started = run(copy.root(), &["new-resource", "saved_gadgets"]);
    assert!(started.status.success(), "{}", String::from_utf8_lossy(&started.stderr));
    let told = String::from_utf8(started.stdout).unwrap();
    assert!(told.starts_with("wrote functions/saved_gadgets/Cargo.toml\nwrote functions/saved_gadgets/src/lib.rs\n"));

    assert_eq!(package(&copy, "saved_gadgets").unwrap()["targets"][0]["kind"][0], "lib");
    let registry = package(&copy, "registry").unwrap();
    let dependencies: Vec<_> = registry["dependencies"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
    assert!(dependencies.contains(&&Value::from("saved_gadgets")), "{dependencies:?}");
    let list = copy.read(LIST);
    let position = |line: &str| list.lines().position(|found| found.contains(line)).unwrap();
    assert_eq!(position("&root::ROUTES") + 1, position("(\"saved_gadgets\", &saved_gadgets::ROUTES),"));
    assert_eq!(position("&saved_gadgets::ROUTES") + 1, position("&task_run_states::ROUTES"));

    assert!(Stale::find(copy.root()).unwrap().is_empty(), "what has no verb yet changes no generated file");
}

#[test]
fn its_record_is_started_and_listed_in_the_table() {
    let copy = Repository::copy();
    let started = run(copy.root(), &["new-resource", "saved_gadgets", "--record", "SavedGadget"]);
    assert!(started.status.success(), "{}", String::from_utf8_lossy(&started.stderr));
    let in_common = |path: &str| copy.read(&format!("common/{path}"));
    let files = [
        ("domain/src/model/saved_gadget.rs", "impl Lifecycle for SavedGadget"),
        ("domain/src/filter/saved_gadget.rs", "pub struct SavedGadgetFilter"),
        ("store/src/saved_gadgets.rs", "pub async fn count_saved_gadgets("),
        (
            "store/src/lib.rs",
            "pub mod query;\npub mod record;\nmod relations;\npub mod saved_gadgets;\npub mod scheduling;",
        ),
        (
            "domain/src/model/mod.rs",
            "pub use run_summary::RunSummary;\npub use saved_gadget::{SavedGadget, SavedGadgetId};\n",
        ),
        ("domain/src/filter/mod.rs", "pub use saved_gadget::{SavedGadgetFilter, SavedGadgetSort};\npub use sort::"),
        (
            "store/src/table.rs",
            "SavedGadget(SavedGadgetId) of domain::model::SavedGadget\n        = [\"saved_gadget\", saved_gadget_id] / [\"saved_gadget\"];",
        ),
    ];
    for (path, line) in files {
        let text = in_common(path);
        assert!(text.contains(line), "{path} lacks {line}");
        assert!(!text.contains("{Record}") && !text.contains("{record}"), "{path} has an unfilled place");
        syn::parse_file(&text).unwrap_or_else(|error| panic!("{path}: {error}"));
    }
}

#[test]
fn a_record_that_exists_or_is_no_name_is_refused() {
    let copy = Repository::copy();
    for (record, reason) in [("Flow", "common/ has it"), ("saved_gadget", "is no name for a record")] {
        let refused = new_resource(copy.root(), "saved_gadgets", Some(record)).unwrap_err().to_string();
        assert!(refused.contains(reason), "{record}: {refused}");
        assert!(package(&copy, "saved_gadgets").is_none(), "nothing is half written");
    }
}

#[test]
fn what_exists_or_is_no_name_is_refused() {
    let copy = Repository::copy();
    let before = copy.read(LIST);
    for (name, reason) in [
        ("flows", "functions/ has it"),
        ("fallback", "functions/ has it"),
        ("settings", "a package of the workspace is called that"),
        ("xtask", "a package of the workspace is called that"),
        ("serde", "the workspace depends on a package that is called that"),
        ("stream", "a stack of the infrastructure is called that"),
        ("SavedGadgets", "is no name for a resource"),
        ("saved-gadgets", "is no name for a resource"),
        ("../gadgets", "is no name for a resource"),
        ("type", "is no name for a resource"),
    ] {
        let refused = new_resource(copy.root(), name, None).unwrap_err().to_string();
        assert!(refused.contains(reason), "{name}: {refused}");
        assert!(copy.read(LIST) == before, "{name} changed the registry");
    }
    let refused = run(copy.root(), &["new-resource", "flows"]);
    assert_eq!((refused.status.code(), refused.stdout), (Some(1), Vec::new()));
}
