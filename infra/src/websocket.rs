//! The WebSocket API: the functions of all websockets, in a nested stack of their own.

use common::{
    socket::gateway,
    store::{TableAccess, access::Secrets},
};
use serde_json::{Map, Value, json};

use crate::{
    api::{TIMEOUT, connection_by, throttle},
    function::{Environment, Function},
    logs, only_if, origin, parameters, reference, relay, substitute, template,
};

pub(crate) use common::lambda::WEBSOCKET_STAGE as STAGE;

/// The paths of the websockets, as patterns of a distribution's behaviours.
pub(crate) const PATHS: [&str; 5] =
    ["/events/in", "/events/out", "/logs/out", "/task_runs/subscriptions/scheduled", "/work_pools/*/workers/connect"];

/// The variable that names the address of the API at which messages are posted and connections cut.
const CONNECTIONS_URL: &str = "PROCTOR_CONNECTIONS_URL";

/// The route of all messages, whose function alone answers clients.
const MESSAGES: &str = "$default";

/// The route of requests for a connection, the only one that API Gateway asks an authorizer about.
const CONNECTS: &str = "$connect";

/// The route of what is told of connections that are over.
const FAREWELLS: &str = "$disconnect";

/// The functions: binary, the API's route, what it does with the table, what it is for.
const FUNCTIONS: [(&str, &str, TableAccess, &str); 3] = [
    ("websocket_connect", CONNECTS, TableAccess::WRITES, "Decides on a connection of a websocket"),
    (
        "websocket_message",
        MESSAGES,
        gateway::ACCESS,
        "Takes a client's credentials, and what it sends over a websocket",
    ),
    ("websocket_disconnect", FAREWELLS, gateway::FAREWELL, "Ends a connection of a websocket"),
];

/// What a function does with connections, as API Gateway's methods.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reach {
    /// It sends through them, and cuts them.
    Sends,
    /// It asks whether they are there as well.
    LooksAfter,
}

/// Lets a function reach the connections of the API that the parameter `api` names, and those of the relay if there is
/// one: by its role, and by its environment.
pub(crate) fn reaching(function: &mut Function, api: &str, reach: Reach) -> Value {
    let methods: &[&str] = match reach {
        Reach::Sends => &["DELETE", "POST"],
        Reach::LooksAfter => &["DELETE", "GET", "POST"],
    };
    let arn = "arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}:";
    let connections = |method: &&str| substitute(&format!("{arn}${{{api}}}/{STAGE}/{method}/@connections/*"));
    function.statements.push(json!({
        "Sid": "ReachesConnections",
        "Effect": "Allow",
        "Action": ["execute-api:ManageConnections"],
        "Resource": methods.iter().map(connections).collect::<Vec<_>>()
    }));
    relay::reaching(&mut function.statements);
    substitute(&format!("https://${{{api}}}.execute-api.${{AWS::Region}}.${{AWS::URLSuffix}}/{STAGE}"))
}

/// Tells a function that is declared where the connections are.
pub(crate) fn tell(declared: &mut Map<String, Value>, id: &str, address: Value) {
    let variables = &mut declared[id]["Properties"]["Environment"]["Variables"];
    variables[CONNECTIONS_URL] = address;
    relay::tell(variables);
}

/// Declares the API and its only stage, for the root stack.
pub(crate) fn resources() -> Map<String, Value> {
    let api = json!({
        "Type": "AWS::ApiGatewayV2::Api",
        "Properties": {
            "Name": substitute("proctor-${Stage}-websockets"),
            "Description": "All websockets, told apart by the path that a client asks for; no message names a route",
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
    for (name, route, access, description) in FUNCTIONS {
        let mut function = Function {
            name,
            description: description.into(),
            timeout: TIMEOUT,
            access,
            reads_assets: false,
            statements: Vec::new(),
            environment: if route == FAREWELLS { Environment::Table } else { Environment::Api },
        };
        let address = (route == MESSAGES).then(|| reaching(&mut function, "Api", Reach::Sends));
        let mut declared = function.resources();
        if let Some(address) = address {
            tell(&mut declared, &function.id(), address);
        }
        resources.extend(declared);
        resources.extend(connection(&function.id(), route));
    }
    let uses_secrets = gateway::ACCESS.secrets != Secrets::Nothing;
    let secrets = parameters::OF_SECRETS.into_iter().filter(|_| uses_secrets);
    let taken: Vec<&str> =
        parameters::OF_THE_API.into_iter().chain(secrets).chain(parameters::OF_REACHING_THE_RELAY).collect();
    template(
        "Proctor: the functions of the WebSocket API",
        &[
            ("Parameters", parameters::of_a_nested_stack(&taken)),
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
