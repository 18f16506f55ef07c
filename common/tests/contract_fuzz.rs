//! Whatever is sent, validation answers: it neither panics nor overflows the stack.
#![allow(clippy::unwrap_used, reason = "a broken test must fail")]

use common::contract::{Operation, Rejection, Request};
use http::HeaderMap;
use proptest::prelude::*;
use serde_json::{Map, Value};

const ID: &str = "01a2034c-a60e-77df-8caf-82a280613781";

fn validate(operation: &Operation, query: &str, body: &[u8]) -> Result<Value, Rejection> {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", "application/json".parse().unwrap());
    let path = [("id", ID), ("schedule_id", ID), ("lease_id", ID), ("key", "k"), ("name", "n")];
    let request = Request { path: &path, query, headers: &headers, body };
    operation.validate(&request).map(|validated| validated.sent())
}

/// Field names that many schemas have, so that random objects reach below the surface.
fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "name",
            "tags",
            "labels",
            "state",
            "type",
            "flow_runs",
            "flows",
            "filter",
            "limit",
            "id",
            "any_",
            "trigger",
            "triggers",
            "actions",
            "related",
            "resource",
            "occurred",
            "since",
            "empirical_policy",
            "retry_delay",
            "value",
            "parameters",
            "schedule",
            "interval",
            "timestamp",
            "level",
            "operator",
            "match",
            "require",
            "within",
        ])
        .prop_map(str::to_owned),
        ".{0,8}",
    ]
}

fn json() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
        "[-+0-9TZPW:./, _e]{0,20}".prop_map(Value::from),
        prop::sample::select(vec!["and_", "RUNNING", "compound", "2026-01-31T09:30:00Z", ID]).prop_map(Value::from),
    ];
    scalar.prop_recursive(5, 64, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
            prop::collection::vec((key(), inner), 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

proptest! {
    #[test]
    fn answers_any_json(index in 0..Operation::all().len(), query in ".{0,30}", body in json()) {
        let _ = validate(&Operation::all()[index], &query, body.to_string().as_bytes());
    }

    #[test]
    fn answers_any_bytes(index in 0..Operation::all().len(), body in prop::collection::vec(any::<u8>(), 0..60)) {
        let _ = validate(&Operation::all()[index], "", &body);
    }

    #[test]
    fn answers_near_json(text in r#"[\[\]{}",:\\untrfalse0-9eE.+ \x00-\x1f-]{0,40}"#) {
        let _ = validate(Operation::find("POST", "/flows/").unwrap(), "", text.as_bytes());
    }
}

#[test]
fn bears_deep_nesting_on_a_small_stack() {
    let nest = |open: &str, close: &str, depth: usize| format!("{}1{}", open.repeat(depth), close.repeat(depth));
    let triggers = nest(r#"{"type":"compound","require":"all","within":1,"triggers":["#, "]}", 20);
    let automation = format!(r#"{{"name":"x","actions":[],"trigger":{triggers}}}"#);
    let bodies = [nest("[", "]", 900), nest(r#"{"a":"#, "}", 900), nest("[", "]", 100_000), automation];
    let threads = bodies.map(|body| {
        // Tokio's worker threads have 2 MiB.
        let thread = std::thread::Builder::new().stack_size(2 * 1024 * 1024);
        thread.spawn(move || {
            for operation in Operation::all() {
                let _ = validate(operation, "", body.as_bytes());
            }
        })
    });
    for thread in threads {
        thread.unwrap().join().unwrap();
    }
}
