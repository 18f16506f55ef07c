//! The nested stack of one resource of the API: its functions, each behind its route.

use common::http::Route;
use serde_json::{Map, Value};

use crate::{
    api,
    function::{Function, reading_of_keys},
    parameters,
};

/// Renders the nested stack of the resource `name`.
pub(crate) fn template(name: &str, routes: &[&Route]) -> Value {
    let mut resources = Map::new();
    for route in routes {
        let function = Function {
            name: route.operation,
            description: format!("{} {}{}", route.method.as_str(), common::http::PREFIX, route.path),
            timeout: api::TIMEOUT,
            access: route.access,
            statements: reading_of_keys(route.access),
        };
        resources.extend(function.resources());
        resources.extend(api::connection(&function.id(), &api::route_key(route)));
    }
    crate::template(
        &format!("Proctor: the functions of {name}"),
        &[
            ("Parameters", parameters::of_a_nested_stack(&["Api", "Table"])),
            ("Conditions", parameters::conditions_of_a_nested_stack(&resources)),
            ("Resources", resources.into()),
        ],
    )
}
