//! Templates of automations, rendered as the oracle has rendered them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use common::schema_tools::{
    Allowance,
    templates::{Class, Context, NotRendered, Part, render},
};
use serde::Deserialize;
use serde_json::Value;

const VECTORS: &str = include_str!("../../tests/templates/vectors.json");

/// Failures whose words are the engine's, and not Python's.
const OWN_WORDS: [&str; 3] = ["ZeroDivisionError", "TypeError(\"unsupported", "UndefinedError"];

#[derive(Deserialize)]
struct Vectors {
    ui_url: String,
    context: BTreeMap<String, Named>,
    templates: Vec<Case>,
}

#[derive(Deserialize)]
struct Named {
    kind: String,
    value: Value,
}

#[derive(Deserialize)]
struct Case {
    template: String,
    rendered: Option<String>,
    error: Option<String>,
}

fn part(named: Named) -> Part {
    let class = match named.kind.as_str() {
        "none" => return Part::None,
        "plain" => return Part::Plain(named.value),
        "labels" => return Part::Labels(named.value.as_object().unwrap().clone()),
        "Automation" => Class::Automation,
        "Firing" => Class::Firing,
        "ReceivedEvent" => Class::ReceivedEvent,
        "Flow" => Class::Flow,
        "FlowRunResponse" => Class::FlowRunResponse,
        other => panic!("{other}"),
    };
    match named.value {
        Value::Array(records) => Part::Records(class, records),
        record => Part::Record(class, record),
    }
}

#[test]
fn templates_are_rendered_as_the_oracle_renders_them() {
    let vectors: Vectors = serde_json::from_str(VECTORS).unwrap();
    let mut context = Context::new(Some(vectors.ui_url));
    for (name, named) in vectors.context {
        context.insert(&name, part(named));
    }
    let mut wrong = Vec::new();
    for Case { template, rendered, error } in vectors.templates {
        let ours = render(&template, &context, &Allowance::default());
        let is_right = match (&ours, &rendered, &error) {
            (Ok(ours), Some(rendered), _) => ours == rendered,
            (Err(NotRendered::Invalid(ours)), None, Some(error)) => {
                ours == error || OWN_WORDS.iter().any(|own| error.contains(own))
            }
            _ => false,
        };
        if !is_right {
            wrong.push(format!("{template}\n  oracle: {rendered:?} {error:?}\n  ours:   {ours:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} templates differ:\n{}", wrong.len(), wrong.join("\n"));
}
