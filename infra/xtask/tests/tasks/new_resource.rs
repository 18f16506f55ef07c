//! A new resource is a crate of the workspace, registered, and nothing is left to be done but its verbs.

use std::process::Command;

use serde_json::Value;
use xtask::{NewRecord, Stale, new_resource};

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
    let lines: Vec<&str> = list.lines().filter(|line| line.ends_with("::ROUTES),")).collect();
    assert!(lines.contains(&"    (\"saved_gadgets\", &saved_gadgets::ROUTES),") && lines.is_sorted(), "{list}");

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
        ("store/src/lib.rs", "\npub mod saved_gadgets;\n"),
        ("domain/src/model/mod.rs", "\npub use saved_gadget::{SavedGadget, SavedGadgetId};\n"),
        ("domain/src/filter/mod.rs", "\npub use saved_gadget::{SavedGadgetFilter, SavedGadgetSort};\n"),
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
fn a_record_without_a_filter_or_events_has_nothing_of_them() {
    let copy = Repository::copy();
    let flags = ["--record", "SavedGadget", "--without-filter", "--without-events"];
    let started = run(copy.root(), &[&["new-resource", "saved_gadgets"], &flags[..]].concat());
    assert!(started.status.success(), "{}", String::from_utf8_lossy(&started.stderr));
    let told = String::from_utf8(started.stdout).unwrap();
    assert!(!told.contains("filter"), "{told}");
    let store = copy.read("common/store/src/saved_gadgets.rs");
    assert!(store.contains("pub async fn saved_gadgets(&self, window: Window)") && !store.contains("Filter"));
    let model = copy.read("common/domain/src/model/saved_gadget.rs");
    assert!(model.contains("const RESOURCE") && !model.contains("json"));
    for text in [store, model] {
        syn::parse_file(&text).unwrap();
    }
    let page = copy.read("common/store/src/table.rs");
    assert!(page.contains(
        "saved_gadget(saved_gadget_id: SavedGadgetId) of domain::model::SavedGadget\n        = [\"saved_gadget\""
    ));
    assert!(page.contains("asked(\"all saved gadgets by name\""));
    for absent in ["=> SavedGadget", "SavedGadget =>", "all saved gadgets by creation"] {
        assert!(!page.contains(absent), "{absent}");
    }
}

#[test]
fn a_record_that_exists_or_is_no_name_is_refused() {
    let copy = Repository::copy();
    for (record, reason) in [("Flow", "common/ has it"), ("saved_gadget", "is no name for a record")] {
        let named = NewRecord { name: record, has_filter: true, has_events: true };
        let refused = new_resource(copy.root(), "saved_gadgets", Some(named)).unwrap_err().to_string();
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
