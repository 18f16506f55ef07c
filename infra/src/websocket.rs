//! The WebSocket API: the functions of `/api/events/in`, in a nested stack of their own.

use common::store::TableAccess;
use serde_json::{Map, Value, json};

use crate::{
    api::{TIMEOUT, connection_by, throttle},
    function::{Environment, Function},
    logs, only_if, origin, parameters, reference, substitute, template,
};

/// The name of the API's only stage, which is the path of its connections.
pub(crate) const STAGE: &str = "events-in";

/// The address of the API at which connections are cut.
const CONNECTIONS: &str = "https://${Api}.execute-api.${AWS::Region}.${AWS::URLSuffix}/";

/// The route of all messages, whose function alone answers clients and cuts connections.
const MESSAGES: &str = "$default";

/// The route of requests for a connection, the only one that API Gateway asks an authorizer about.
const CONNECTS: &str = "$connect";

/// The route of what is told of connections that are over.
const FAREWELLS: &str = "$disconnect";

/// The functions: binary, the API's route, what it is for.
const FUNCTIONS: [(&str, &str, &str); 3] = [
    ("events_in_connect", CONNECTS, "Decides on a connection for events"),
    ("events_in_message", MESSAGES, "Takes a client's credentials, and its events"),
    ("events_in_disconnect", FAREWELLS, "Forgets a connection"),
];

/// Declares the API and its only stage, for the root stack.
pub(crate) fn resources() -> Map<String, Value> {
    let api = json!({
        "Type": "AWS::ApiGatewayV2::Api",
        "Properties": {
            "Name": substitute("proctor-${Stage}-events-in"),
            "Description": "The websocket over which the client sends events; no message names a route",
            "ProtocolType": "WEBSOCKET",
            "RouteSelectionExpression": "$request.body.action"
        }
    });
    let stage = json!({
        "Type": "AWS::ApiGatewayV2::Stage",
        "Properties": {
            "ApiId": reference("WebsocketApi"),
            "StageName": STAGE,
            "AutoDeploy": true,
            "Description": logs::role_of_websocket(),
            "AccessLogSettings": only_if("LogsWebsocket", &logs::of_websocket()),
            "DefaultRouteSettings": throttle("WebsocketThrottle")
        }
    });
    Map::from_iter([("WebsocketApi".into(), api), ("WebsocketApiStage".into(), stage)])
}

/// Renders the nested stack.
pub(crate) fn stack() -> Value {
    let mut resources = Map::new();
    for (name, route, description) in FUNCTIONS {
        let cuts = json!({
            "Sid": "CutsConnections",
            "Effect": "Allow",
            "Action": ["execute-api:ManageConnections"],
            "Resource": substitute(&format!(
                "arn:${{AWS::Partition}}:execute-api:${{AWS::Region}}:${{AWS::AccountId}}:${{Api}}/{STAGE}/DELETE/@connections/*"
            ))
        });
        let function = Function {
            name,
            description: format!("{description} (websocket /api/events/in)"),
            timeout: TIMEOUT,
            access: TableAccess::WRITES,
            reads_assets: false,
            statements: if route == MESSAGES { vec![cuts] } else { Vec::new() },
            environment: if route == FAREWELLS { Environment::Table } else { Environment::Api },
        };
        let mut declared = function.resources();
        if route == MESSAGES {
            let variables = &mut declared[&function.id()]["Properties"]["Environment"]["Variables"];
            variables["PROCTOR_CONNECTIONS_URL"] = substitute(&format!("{CONNECTIONS}{STAGE}"));
        }
        resources.extend(declared);
        resources.extend(connection(&function.id(), route));
    }
    template(
        "Proctor: the functions of the WebSocket API",
        &[
            ("Parameters", parameters::of_a_nested_stack(&parameters::OF_THE_API)),
            ("Conditions", parameters::conditions_of_a_nested_stack(&resources)),
            ("Resources", resources.into()),
        ],
    )
}

/// Returns the address at which API Gateway invokes the function `id`.
pub(crate) fn invocation_uri(id: &str) -> Value {
    let arn = "arn:${AWS::Partition}:apigateway:${AWS::Region}:lambda:path/2015-03-31/functions/";
    substitute(&format!("{arn}${{{id}.Arn}}/invocations"))
}

/// Connects the function `id` to the API under `route_key`; what a function answers to a message is sent to the client.
fn connection(id: &str, route_key: &str) -> Map<String, Value> {
    let mut declared = connection_by(id, route_key, &json!({ "IntegrationUri": invocation_uri(id) }));
    if route_key == CONNECTS {
        origin::guard(&mut declared[&format!("{id}Route")]);
    }
    if route_key == MESSAGES {
        let route = format!("{id}Route");
        declared[&route]["Properties"]["RouteResponseSelectionExpression"] = "$default".into();
        let response = json!({
            "Type": "AWS::ApiGatewayV2::RouteResponse",
            "Properties": { "ApiId": reference("Api"), "RouteId": reference(&route), "RouteResponseKey": "$default" }
        });
        declared.insert(format!("{route}Response"), response);
    }
    declared
}
