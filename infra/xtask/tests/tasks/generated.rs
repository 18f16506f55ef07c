//! What is generated is current, and the generator notices what is not.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use xtask::{Change, Stale};

use crate::{repository::Repository, run};

const BINARY: &str = "functions/flows/src/bin/create_flow.rs";
const TEMPLATE: &str = "infra/templates/flows.json";

fn stale(copy: &Repository) -> Vec<(PathBuf, bool)> {
    let stale = Stale::find(copy.root()).unwrap();
    stale.changes().iter().map(|(path, change)| (path.clone(), *change == Change::Delete)).collect()
}

/// Returns every file under `directory` with what it holds.
fn files(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else {
            let text = fs::read(&path).unwrap();
            files.insert(path, text);
        }
    }
    files
}

#[test]
fn the_committed_files_are_current() {
    let checked = run(Path::new(env!("CARGO_MANIFEST_DIR")), &["generate", "--check"]);
    let listed = String::from_utf8_lossy(&checked.stdout);
    assert!(
        checked.status.success(),
        "run `cargo xtask generate`:\n{listed}{}",
        String::from_utf8_lossy(&checked.stderr)
    );
}

#[test]
fn what_is_stale_is_listed_and_made_current_and_nothing_else_is_touched() {
    let copy = Repository::copy();
    let before = files(copy.root());
    let extra = ["functions/flows/src/bin/gone.rs", "events/gone.json", "infra/templates/gone.json"];
    for file in extra {
        copy.write(file, "{}");
    }
    for file in [BINARY, "events/create_flow.json", "docs/table.md"] {
        copy.remove(file);
    }
    for file in [TEMPLATE, "CargoLambda.toml", "events/read_flow.json"] {
        copy.write(file, "stale");
    }
    let mut expected = vec![
        ("CargoLambda.toml", false),
        ("docs/table.md", false),
        ("events/create_flow.json", false),
        ("events/gone.json", true),
        ("events/read_flow.json", false),
        (BINARY, false),
        ("functions/flows/src/bin/gone.rs", true),
        (TEMPLATE, false),
        ("infra/templates/gone.json", true),
    ];
    expected.sort_unstable();
    let expected: Vec<_> = expected.into_iter().map(|(path, goes)| (PathBuf::from(path), goes)).collect();
    assert_eq!(stale(&copy), expected);

    let changed = files(copy.root());
    let checked = run(copy.root(), &["generate", "--check"]);
    assert_eq!(checked.status.code(), Some(1));
    let listed = String::from_utf8(checked.stdout).unwrap();
    assert_eq!(listed.lines().count(), expected.len(), "{listed}");
    assert!(listed.contains(&format!("write {BINARY}\ndelete functions/flows/src/bin/gone.rs\n")), "{listed}");
    assert!(files(copy.root()) == changed, "a check writes nothing");

    assert!(run(copy.root(), &["generate"]).status.success());
    assert!(files(copy.root()) == before, "everything is as it was");
    let again = run(copy.root(), &["generate"]);
    assert_eq!((again.status.code(), again.stdout), (Some(0), Vec::new()), "there is nothing left to write");
}

#[test]
fn a_route_that_nobody_serves_is_refused() {
    let copy = Repository::copy();
    let declared = "use common::http::Route;\n\
                    pub static LOST: Route = Route::get(\"lost\", \"/lost\", || get(lost)).accessing(READS);\n";
    copy.write("functions/flows/src/lost/mod.rs", declared);
    let refused = Stale::find(copy.root()).unwrap_err().to_string();
    assert_eq!(refused, "flows::lost::LOST is not in the ROUTES of its crate");

    copy.write("functions/flows/src/lost/mod.rs", "");
    copy.write("functions/flows/src/create.rs", "");
    let refused = Stale::find(copy.root()).unwrap_err().to_string();
    assert_eq!(refused, "no `pub static … : Route` in functions/flows/src declares create_flow");
}

#[test]
fn a_resource_that_is_not_registered_is_noticed_before_all_else() {
    let copy = Repository::copy();
    copy.write("functions/widgets/src/lib.rs", "pub static ROUTES: &[&Route] = &[];\n");
    copy.remove(BINARY);
    let found = Stale::find(copy.root()).unwrap();
    assert!(found.is_only_the_registry());
    let stale: Vec<_> = found.changes().keys().collect();
    assert_eq!(stale, [Path::new("functions/registry/Cargo.toml"), Path::new("functions/registry/src/resources.rs")]);
}
