//! What belongs to each function and route agrees with it: its binary, the contract, and its sample event.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use common::{
    contract::{self, Operation},
    http::{PREFIX, Route},
};
use registry::functions::functions;
use serde_json::Value;
use xtask::sample;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
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

#[test]
fn every_operation_of_the_contract_has_a_route() {
    let built: BTreeSet<(&str, &str)> =
        registry::routes().iter().map(|route| (route.method.as_str(), route.path)).collect();
    let missing = Operation::all().iter().filter(|operation| !built.contains(&(operation.method(), operation.path())));
    let missing: Vec<&str> = missing.map(Operation::name).collect();
    assert_eq!(missing, [""; 0]);
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
fn every_function_has_a_sample_and_every_route_takes_its_own() {
    let events = repository().join("events");
    for route in registry::routes() {
        let file = events.join(format!("{}.json", route.operation));
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
    let parameters = parameters(route.path, path).ok_or("the path is not the route's")?;
    let request = contract::Request {
        path: &parameters,
        query: request.uri().query().unwrap_or_default(),
        headers: request.headers(),
        body: request.body(),
    };
    let validated = operation_of(route).validate_with(&request, contract::PAGE_LIMIT, route.checks);
    validated.map(drop).map_err(|rejection| format!("{rejection:?}"))
}

#[test]
fn a_route_can_check_parameters_if_its_contract_asks_for_it() {
    for route in registry::routes() {
        let asked = route.contract().is_some_and(Operation::checks_parameters);
        assert_eq!(route.checks.parameters.is_some(), asked, "{}", route.operation);
    }
}

#[test]
fn a_route_can_check_templates_if_its_contract_asks_for_it() {
    for route in registry::routes() {
        let asked = route.contract().is_some_and(Operation::checks_templates);
        assert_eq!(route.checks.templates.is_some(), asked, "{}", route.operation);
    }
}

/// Returns the parameters of `template` at `path`, if the path is one of the template's.
fn parameters<'p>(template: &'p str, path: &'p str) -> Option<Vec<(&'p str, &'p str)>> {
    let (wanted, given): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
    if wanted.len() != given.len() {
        return None;
    }
    let mut parameters = Vec::new();
    for (wanted, given) in wanted.into_iter().zip(given) {
        match wanted.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
            Some(name) => parameters.push((name, given)),
            None if wanted == given => {}
            None => return None,
        }
    }
    Some(parameters)
}

#[test]
fn samples_have_what_the_operation_requires() {
    let route = common::http::Route::post("create_flow", "/flows/", axum::routing::MethodRouter::new);
    let event = sample::event(&route, &contract::document(contract::Mount::App(PREFIX), &[("POST", "/flows/")]));
    assert_eq!(event["body"], Value::from(r#"{"name":"hello"}"#));
    assert_eq!(takes(&route, &event.to_string()), Ok(()));
    assert!(takes(&route, &event.to_string().replace("hello", "a/b")).is_err(), "the contract is asked");
}
