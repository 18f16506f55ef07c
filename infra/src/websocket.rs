//! The WebSocket API: the functions of `/api/events/in`, in a nested stack of their own.

use common::store::Needs;
use serde_json::{Map, Value, json};

use crate::{api::TIMEOUT, attribute, function::Function, parameters, reference, substitute, template};

/// The name of the API's only stage, which is the path of its connections.
pub(crate) const STAGE: &str = "events-in";

/// The address of the API at which connections are cut.
const CONNECTIONS: &str = "https://${Api}.execute-api.${AWS::Region}.${AWS::URLSuffix}/";

/// The functions: binary, the API's route, what it is for.
const FUNCTIONS: [(&str, &str, &str); 3] = [
    ("events_in_connect", "$connect", "Decides on a connection for events"),
    ("events_in_message", "$default", "Takes a client's credentials, and its events"),
    ("events_in_disconnect", "$disconnect", "Forgets a connection"),
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
        "Properties": { "ApiId": reference("WebsocketApi"), "StageName": STAGE, "AutoDeploy": true }
    });
    Map::from_iter([("WebsocketApi".into(), api), ("WebsocketApiStage".into(), stage)])
}

/// Renders the nested stack.
pub(crate) fn stack() -> Value {
    let mut resources = Map::new();
    for (name, route, description) in FUNCTIONS {
        let function = Function {
            name,
            description: format!("{description} (websocket /api/events/in)"),
            timeout: TIMEOUT,
            needs: Needs::WRITES,
            statements: vec![json!({
                "Sid": "CutsConnections",
                "Effect": "Allow",
                "Action": ["execute-api:ManageConnections"],
                "Resource": substitute(&format!(
                    "arn:${{AWS::Partition}}:execute-api:${{AWS::Region}}:${{AWS::AccountId}}:${{Api}}/{STAGE}/DELETE/@connections/*"
                ))
            })],
        };
        let mut declared = function.resources();
        if let Some(variables) = declared[&function.id()].pointer_mut("/Properties/Environment/Variables") {
            variables["PROCTOR_CONNECTIONS_URL"] = substitute(&format!("{CONNECTIONS}{STAGE}"));
        }
        resources.extend(declared);
        resources.extend(connection(&function.id(), route));
    }
    template(
        "Proctor: the functions of the WebSocket API",
        &[
            ("Parameters", parameters::of_a_nested_stack(&["Api", "Table"])),
            ("Conditions", parameters::conditions_of_a_nested_stack(&resources)),
            ("Resources", resources.into()),
        ],
    )
}

/// Connects the function `id` to the API under `route_key`; what a function answers to a message is sent to the client.
fn connection(id: &str, route_key: &str) -> Map<String, Value> {
    let (integration, route) = (format!("{id}Integration"), format!("{id}Route"));
    let arn = "arn:${AWS::Partition}:apigateway:${AWS::Region}:lambda:path/2015-03-31/functions/";
    let mut declared = Map::from_iter([
        (
            integration.clone(),
            json!({
                "Type": "AWS::ApiGatewayV2::Integration",
                "Properties": {
                    "ApiId": reference("Api"),
                    "IntegrationType": "AWS_PROXY",
                    "IntegrationUri": substitute(&format!("{arn}${{{id}.Arn}}/invocations"))
                }
            }),
        ),
        (
            format!("{id}Permission"),
            json!({
                "Type": "AWS::Lambda::Permission",
                "Properties": {
                    "Action": "lambda:InvokeFunction",
                    "FunctionName": attribute(id, "Arn"),
                    "Principal": "apigateway.amazonaws.com",
                    "SourceArn": substitute("arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}:${Api}/*")
                }
            }),
        ),
    ]);
    let mut properties = json!({
        "ApiId": reference("Api"),
        "RouteKey": route_key,
        "Target": { "Fn::Sub": format!("integrations/${{{integration}}}") }
    });
    if route_key == "$default" {
        properties["RouteResponseSelectionExpression"] = "$default".into();
        let response = json!({
            "Type": "AWS::ApiGatewayV2::RouteResponse",
            "Properties": { "ApiId": reference("Api"), "RouteId": reference(&route), "RouteResponseKey": "$default" }
        });
        declared.insert(format!("{route}Response"), response);
    }
    declared.insert(route, json!({ "Type": "AWS::ApiGatewayV2::Route", "Properties": properties }));
    declared
}
