//! What belongs to each function and route agrees with it: its binary, the contract, its sample event, the router of
//! `cargo lambda watch`, and the list of what is not built yet.
//!
//! `PROCTOR_UPDATE=1 cargo test -p local --test routes` writes what can be derived: the router, missing samples of
//! routes, and the list without what has been built since.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod sample;

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use common::{
    contract::{self, Operation},
    http::{PREFIX, Route},
};
use registry::functions::functions;
use serde_json::Value;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn updates() -> bool {
    std::env::var_os("PROCTOR_UPDATE").is_some()
}

/// Reads a file of the repository, or writes it first where `PROCTOR_UPDATE` asks for it.
fn kept(file: &str, derived: &str) -> String {
    let path = repository().join(file);
    if updates() {
        fs::write(&path, derived).unwrap();
    }
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn names_in(directory: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    entries.filter_map(|entry| Some(entry.unwrap().path().file_stem()?.to_str()?.to_owned())).collect()
}

fn operation_of(route: &Route) -> &'static Operation {
    let (method, path) = (route.method.as_str(), route.path);
    route.contract().unwrap_or_else(|| panic!("{}: {method} {path} is not in the contract", route.operation))
}

#[test]
fn every_route_is_an_operation_of_the_contract_under_its_name() {
    for route in registry::routes() {
        let name = operation_of(route).name();
        let shared = Operation::all().iter().filter(|operation| operation.name() == name).count() > 1;
        let fits = if shared { route.operation.contains(name) } else { route.operation == name };
        assert!(fits, "{} is {name} in the contract", route.operation);
    }
}

fn function_names() -> BTreeSet<String> {
    functions().iter().map(|function| function.name.to_owned()).collect()
}

#[test]
fn every_function_has_a_binary_and_every_binary_is_a_function() {
    let mut binaries = BTreeSet::new();
    for package in names_in(&repository().join("functions")) {
        for name in names_in(&repository().join("functions").join(package).join("src/bin")) {
            assert!(binaries.insert(name.clone()), "two binaries are called {name}");
        }
    }
    assert_eq!(function_names().len(), functions().len(), "two functions share a name");
    assert_eq!(binaries, function_names());
}

#[test]
fn the_router_of_cargo_lambda_watch_has_every_route() {
    let mut router = "# Derived from the routes: PROCTOR_UPDATE=1 cargo test -p local --test routes\n".to_owned();
    for route in registry::routes() {
        let (path, method, function) = (route.path, route.method.as_str(), route.operation);
        let entry = format!("path = \"{PREFIX}{path}\"\nmethods = [\"{method}\"]\nfunction = \"{function}\"\n");
        write!(router, "\n[[watch.router]]\n{entry}").unwrap();
    }
    assert!(kept("CargoLambda.toml", &router) == router, "CargoLambda.toml is not what the routes say");
}

#[test]
fn every_function_has_a_sample_and_every_route_takes_its_own() {
    let events = repository().join("events");
    let document = contract::document(
        contract::Mount::App(PREFIX),
        &registry::routes().iter().map(|route| (route.method.as_str(), route.path)).collect::<Vec<_>>(),
    );
    for route in registry::routes() {
        let file = events.join(format!("{}.json", route.operation));
        if updates() && !file.exists() {
            let sample = serde_json::to_string_pretty(&sample::event(route, &document)).unwrap();
            fs::write(&file, sample + "\n").unwrap();
        }
        let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        takes(route, &text).unwrap_or_else(|problem| panic!("{}: {problem}", file.display()));
    }
    assert_eq!(names_in(&events), function_names(), "events/ has exactly one sample for each function");
}

/// Says whether the event is a request of `route` that its contract lets through.
fn takes(route: &Route, event: &str) -> Result<(), String> {
    let request = lambda_http::request::from_str(event).map_err(|error| error.to_string())?;
    if request.method().as_str() != route.method.as_str() {
        return Err(format!("the method is {}", request.method()));
    }
    let path = request.uri().path().strip_prefix(PREFIX).ok_or("the path is not the API's")?;
    let parameters = sample::parameters(route.path, path).ok_or("the path is not the route's")?;
    let request = contract::Request {
        path: &parameters,
        query: request.uri().query().unwrap_or_default(),
        headers: request.headers(),
        body: request.body(),
    };
    operation_of(route).validate(&request).map(drop).map_err(|rejection| format!("{rejection:?}"))
}

#[test]
fn what_is_missing_is_listed_and_nothing_else() {
    let built: BTreeSet<(&str, &str)> =
        registry::routes().iter().map(|route| (route.path, route.method.as_str())).collect();
    let mut missing = String::new();
    let mut operations: Vec<_> = Operation::all().iter().collect();
    operations.sort_by_key(|operation| operation.rank());
    for operation in operations.into_iter().filter(|one| !built.contains(&(one.path(), one.method()))) {
        writeln!(missing, "{} {} {}", operation.method(), operation.path(), operation.name()).unwrap();
    }
    let listed = fs::read_to_string(repository().join("tests/missing_routes.txt")).unwrap_or_default();
    let before: BTreeSet<&str> = listed.lines().collect();
    let unlisted: Vec<&str> = missing.lines().filter(|line| !before.is_empty() && !before.contains(line)).collect();
    assert!(unlisted.is_empty(), "the list may only shrink, and these have no route any more: {unlisted:?}");
    assert_eq!(kept("tests/missing_routes.txt", &missing), missing, "remove what has a route from the list");
}

#[test]
fn samples_have_what_the_operation_requires() {
    let route = common::http::Route::post("create_flow", "/flows/", axum::routing::MethodRouter::new);
    let event = sample::event(&route, &contract::document(contract::Mount::App(PREFIX), &[("POST", "/flows/")]));
    assert_eq!(event["body"], Value::from(r#"{"name":"hello"}"#));
    assert_eq!(takes(&route, &event.to_string()), Ok(()));
    assert!(takes(&route, &event.to_string().replace("hello", "a/b")).is_err(), "the contract is asked");
}
