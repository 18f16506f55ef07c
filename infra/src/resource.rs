//! The nested stack of one resource of the API: its functions, each behind its route.

use common::{access::operations::PROBES, http::Route, store::access::Secrets};
use serde_json::{Map, Value, json};

use crate::{
    api, assets,
    function::{Environment, Function},
    jobs::QUEUE_URL,
    parameters, reference,
};

/// Returns whether anybody may call the operation, so that its function has to know nobody.
fn is_open(route: &Route) -> bool {
    PROBES.contains(&(route.method.as_str(), route.path))
}

/// Returns what a function needs to ask how many messages are in the queue.
fn measuring_the_queue() -> Value {
    json!({
        "Sid": "MeasuresTheQueue",
        "Effect": "Allow",
        "Action": ["sqs:GetQueueAttributes"],
        "Resource": reference("Queue")
    })
}

/// Renders the nested stack of the resource `name`.
pub(crate) fn template(name: &str, routes: &[&Route]) -> Value {
    let mut resources = Map::new();
    for route in routes {
        let function = Function {
            name: route.operation,
            description: format!("{} {}{}", route.method.as_str(), common::http::PREFIX, route.path),
            timeout: api::TIMEOUT,
            access: route.access,
            reads_assets: route.reads_assets,
            statements: route.measures_queue.then(measuring_the_queue).into_iter().collect(),
            environment: if is_open(route) { Environment::Table } else { Environment::Api },
        };
        let mut declared = function.resources();
        if route.measures_queue {
            declared[&function.id()]["Properties"]["Environment"]["Variables"][QUEUE_URL] = reference("QueueUrl");
        }
        resources.extend(declared);
        resources.extend(api::connection(&function.id(), &api::route_key(route)));
    }
    let assets = routes.iter().any(|route| route.reads_assets).then_some(assets::LAYER);
    let uses_secrets = routes.iter().any(|route| route.access.secrets != Secrets::Nothing);
    let secrets = parameters::OF_SECRETS.into_iter().filter(|_| uses_secrets);
    let measures_queue = routes.iter().any(|route| route.measures_queue);
    let queue = parameters::OF_MEASURING_THE_QUEUE.into_iter().filter(|_| measures_queue);
    let of_the_api: Vec<&str> = parameters::OF_THE_API.into_iter().chain(assets).chain(secrets).chain(queue).collect();
    crate::template(
        &format!("Proctor: the functions of {name}"),
        &[
            ("Parameters", parameters::of_a_nested_stack(&of_the_api)),
            ("Conditions", parameters::conditions_of_a_nested_stack(&resources)),
            ("Resources", resources.into()),
        ],
    )
}
