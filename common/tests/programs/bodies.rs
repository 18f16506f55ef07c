//! Bodies of every operation: filters within filters, patterns, long lists, and what is no filter at all.

use common::{
    contract::{Operation, Rejection, Request},
    filter::{EventFilter, FlowFilter, LogFilter, VariableFilter},
    model::{Timestamp, Variable, VariableId},
    schema_tools::validation::check_parameters,
};
use http::HeaderMap;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{STACKS, Took, alone, explore, measured, on_stack};

const ID: &str = "01a2034c-a60e-77df-8caf-82a280613781";

/// Validates a body as the server does before a handler, and returns its answer, if it has one.
pub(super) fn validate(operation: &Operation, body: &[u8]) -> Result<Value, String> {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", "application/json".parse().unwrap());
    let path = [("id", ID), ("schedule_id", ID), ("lease_id", ID), ("key", "k"), ("name", "n")];
    let request = Request { path: &path, query: "", headers: &headers, body };
    let validated = operation.validate_with(
        &request,
        200,
        contract::Checks { parameters: Some(check_parameters), templates: None },
    );
    validated.map(|validated| validated.body).map_err(|rejection: Rejection| rejection.into_answer().1.to_string())
}

fn json() -> impl Strategy<Value = Value> {
    let keys = vec![
        "flows",
        "flow_runs",
        "task_runs",
        "deployments",
        "work_pools",
        "filter",
        "id",
        "name",
        "tags",
        "state",
        "type",
        "any_",
        "all_",
        "like_",
        "not_any_",
        "is_null_",
        "operator",
        "parent_task_run_id",
        "subscribing",
        "level",
        "text",
        "query",
        "event",
        "prefix",
        "resource",
        "related",
        "labels",
        "trigger",
        "triggers",
        "within",
        "require",
        "a",
    ];
    let scalar = prop_oneof![
        any::<i32>().prop_map(Value::from),
        Just(json!(ID)),
        Just(json!("and_")),
        Just(json!("compound")),
        ("[ab%_*\" +-]{1,6}", 1..4000_usize).prop_map(|(text, times)| Value::from(text.repeat(times))),
    ];
    scalar.prop_recursive(7, 100, 8, move |inner| {
        let field = (prop::sample::select(keys.clone()), inner.clone());
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::Array),
            prop::collection::vec(field.clone(), 0..8).prop_map(|fields| fields
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect::<Map<_, _>>()
                .into()),
            (inner.clone(), 1..20_000_usize).prop_map(|(item, times)| {
                let times = times.min(200_000 / item.to_string().len().max(1));
                Value::Array(vec![item; times])
            }),
            (field, 1..60_usize)
                .prop_map(|((key, last), levels)| (0..levels).fold(last, |inner, _| json!({key: inner}))),
            (inner, 1..60_usize).prop_map(|(last, levels)| {
                (0..levels).fold(
                    last,
                    |inner, _| json!({"type": "compound", "require": "any", "within": 1, "triggers": [inner]}),
                )
            }),
        ]
    })
}

fn variable(name: &str) -> Variable {
    let now = Timestamp::from_micros(0).unwrap();
    Variable { id: VariableId::new(), created: now, updated: now, name: name.to_owned(), value: json!(1), tags: vec![] }
}

#[test]
fn any_body_is_answered_within_bounds() {
    let bodies = || (0..Operation::all().len(), json());
    explore("bodies", bodies, |(index, body)| {
        if let Err(answer) = validate(&Operation::all()[*index], body.to_string().as_bytes()) {
            assert!(answer.len() < 6_000_000, "{} B", answer.len());
        }
    });
}

#[test]
fn any_pattern_is_matched_within_bounds() {
    let patterns = || ("[ab%_]{1,8}", 1..500_usize, "[ab]{1,4}", 1..2000_usize);
    explore("patterns", patterns, |(pattern, times, text, length)| {
        let (pattern, text) = (pattern.repeat(*times), text.repeat(*length));
        let filter: VariableFilter = serde_json::from_value(json!({"name": {"like_": pattern}})).unwrap();
        filter.matches(&variable(&text));
        drop(serde_json::from_value::<LogFilter>(json!({"text": {"query": pattern}})));
        drop(serde_json::from_value::<EventFilter>(json!({"event": {"prefix": [pattern]}})));
        drop(serde_json::from_value::<FlowFilter>(json!({"name": {"like_": pattern}})));
    });
}

/// A text of so many equal parts in brackets.
fn list(part: &str, bytes: usize) -> Vec<u8> {
    let parts = bytes / (part.len() + 1);
    format!("[{}]", vec![part; parts].join(",")).into_bytes()
}

#[test]
fn memory_and_answers_are_in_proportion_to_the_body() {
    for stack in STACKS {
        on_stack(stack, || {
            let mut most = Took::default();
            for part in ["[]", "{}", "1", "\"\"", "{\"a\":[]}", "[[[[]]]]"] {
                for bytes in [90_000, 1_100_000, 5_700_000] {
                    for path in ["/logs/", "/flows/", "/events", "/deployments/", "/automations/"] {
                        let operation = Operation::find("POST", path).unwrap();
                        for body in [list(part, bytes), [b"{\"name\":".as_slice(), &list(part, bytes), b"}"].concat()] {
                            let (answer, took) = measured(|| validate(operation, &body).unwrap_err());
                            assert!(answer.len() < 2 * body.len() + 1_000_000, "{path} {part}: {} B", answer.len());
                            assert!(took.is_little(), "{path} {part} {bytes}: {took:?}");
                            most = most.or_more(took);
                        }
                    }
                }
            }
            eprintln!("of bodies of 5.7 MB none took more than {most:?}");
        });
    }
}

#[test]
fn as_much_as_clients_send_is_taken() {
    let _alone = alone();
    let log = json!({"name": "n", "level": 20, "message": "m".repeat(100), "timestamp": "2026-01-01T00:00:00Z",
        "flow_run_id": ID, "task_run_id": null});
    let event = |number: usize| {
        let related = json!({"prefect.resource.id": "s", "prefect.resource.role": "flow"});
        json!({"id": ID, "occurred": "2026-01-01T00:00:00Z", "event": "e", "payload": {"a": [1, 2, number]},
            "resource": {"prefect.resource.id": "r", "l": "m"}, "related": vec![related; 5]})
    };
    let inputs: Map<_, _> =
        (0..5_000).map(|number| (format!("i{number}"), json!([{"input_type": "task_run", "id": ID}]))).collect();
    let state = json!({"type": "RUNNING"});
    let table = [
        ("/logs/", json!(vec![log; 5_000])),
        ("/events", json!((0..8_000).map(event).collect::<Vec<_>>())),
        (
            "/task_runs/",
            json!({"flow_run_id": ID, "task_key": "t", "dynamic_key": "0", "task_inputs": inputs, "state": state}),
        ),
        ("/flow_runs/", json!({"flow_id": ID, "parameters": {"a": vec![0; 250_000]}})),
        ("/flow_runs/filter", json!({"flow_runs": {"id": {"any_": vec![ID; 30_000]}}})),
    ];
    for (path, body) in table {
        let body = body.to_string();
        let (validated, took) = measured(|| validate(Operation::find("POST", path).unwrap(), body.as_bytes()));
        assert!(validated.is_ok(), "{path}: {:.300}", validated.unwrap_err());
        eprintln!("{path}: {} B took {took:?}", body.len());
    }
}
