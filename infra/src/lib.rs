//! The CloudFormation templates of a stack: rendered from the routes, the table's definition and what is declared of both.
//!
//! A root stack holds what there is one of (the table, the HTTP API, CloudFront, alarms); a nested stack for each
//! resource of the API holds its functions. `cargo xtask generate` writes them to `infra/templates`. Plain
//! CloudFormation, without a transform: what is deployed is what can be read here.

mod api;
mod assets;
mod cost;
mod edge;
mod firewall;
mod function;
mod jobs;
mod logs;
mod operations;
mod origin;
mod page;
mod parameters;
mod relay;
mod resource;
mod root;
mod stream;
mod table;
mod tallies;
mod websocket;

use std::collections::BTreeMap;

use common::http::Route;
use serde_json::{Value, json};

/// The file of the root stack's template.
pub const ROOT: &str = "proctor.json";

/// Renders every template; returns them by the names of their files.
///
/// # Panics
/// If the table's definition in `common` is not one that the SDK takes.
pub fn templates() -> BTreeMap<String, Value> {
    let mut templates: BTreeMap<String, Value> =
        resources().map(|(name, routes)| (file(name), resource::template(name, routes))).collect();
    templates.insert(file(FALLBACK), api::fallback_template());
    templates.insert(file(STREAM), stream::template());
    templates.insert(file(WEBSOCKETS), websocket::stack());
    templates.insert(file(WORK), jobs::template());
    templates.insert(file(ORIGIN), origin::stack());
    templates.insert(file(RELAY), relay::stack());
    let root = root::template(&templates);
    templates.insert(ROOT.into(), root);
    templates
}

/// The nested stack, and the function, of what API Gateway has no route for.
const FALLBACK: &str = registry::functions::FALLBACK;
/// The nested stack of the consumers of the table's stream.
const STREAM: &str = "stream";
/// The nested stack of the functions behind the WebSocket API.
const WEBSOCKETS: &str = "websockets";

/// The nested stack of the queue of work and its worker.
const WORK: &str = "work";
/// The nested stack of what lets only CloudFront through.
const ORIGIN: &str = "origin";
/// The nested stack of the relay.
const RELAY: &str = "relay_host";

/// Returns the resources of the API that have routes: CloudFormation takes no stack that holds nothing.
fn resources() -> impl Iterator<Item = (&'static str, &'static [&'static Route])> {
    registry::RESOURCES.iter().map(|(name, routes)| (*name, **routes)).filter(|(_, routes)| !routes.is_empty())
}

/// Returns the names of all nested stacks.
fn stacks() -> impl Iterator<Item = &'static str> {
    resources().map(|(name, _)| name).chain([FALLBACK, STREAM, WEBSOCKETS, WORK, ORIGIN, RELAY])
}

fn file(stack: &str) -> String {
    format!("{stack}.json")
}

/// Returns a logical id: the words of `name` with capitals, as CloudFormation takes letters and digits only.
fn logical_id(name: &str) -> String {
    let capitalised = |word: &str| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_uppercase().chain(letters).collect::<String>()).unwrap_or_default()
    };
    name.split(|letter: char| !letter.is_ascii_alphanumeric()).map(capitalised).collect()
}

fn reference(name: &str) -> Value {
    json!({ "Ref": name })
}

fn attribute(resource: &str, name: &str) -> Value {
    json!({ "Fn::GetAtt": [resource, name] })
}

fn substitute(text: &str) -> Value {
    json!({ "Fn::Sub": text })
}

/// Returns `value` where the condition holds, and else nothing.
fn only_if(condition: &str, value: &Value) -> Value {
    json!({ "Fn::If": [condition, value, { "Ref": "AWS::NoValue" }] })
}

/// Puts together a template of the given sections; empty ones are left out.
fn template(description: &str, sections: &[(&str, Value)]) -> Value {
    // What cfn-lint warns of is meant: `sam deploy` puts the addresses of what it has uploaded in the place of paths
    // (W3002), and an empty ARN stands for none (W1030).
    let mut template = json!({
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": description,
        "Metadata": { "cfn-lint": { "config": { "ignore_checks": ["W3002", "W1030"] } } }
    });
    for (name, section) in sections {
        if section.as_object().is_some_and(|entries| !entries.is_empty()) {
            template[*name] = section.clone();
        }
    }
    template
}
