//! Who called the APIs: access logs, and what API Gateway needs to write them.
//!
//! A line has nothing that a caller chose but method, path and route: no header, no query, no body, so that no secret
//! is ever in it. The groups' names begin with `/aws/vendedlogs/`, which AWS recommends: it grants its log delivery the
//! right to write to each other group in a policy of the account, and that policy has a largest size.

use serde_json::{Map, Value, json};

use crate::{attribute, only_if, reference, substitute};

/// The parts of a line of the HTTP API: (name, API Gateway's variable).
const OF_HTTP: [(&str, &str); 13] = [
    ("requestId", "requestId"),
    ("time", "requestTime"),
    ("sourceIp", "identity.sourceIp"),
    ("method", "httpMethod"),
    ("path", "path"),
    ("route", "routeKey"),
    ("status", "status"),
    ("responseBytes", "responseLength"),
    ("latency", "responseLatency"),
    ("integrationLatency", "integrationLatency"),
    ("error", "error.message"),
    ("integrationError", "integrationErrorMessage"),
    ("authorizerError", "authorizer.error"),
];

/// The parts of a line of the WebSocket API, which has one for each connection, message and farewell.
const OF_WEBSOCKET: [(&str, &str); 10] = [
    ("requestId", "requestId"),
    ("time", "requestTime"),
    ("sourceIp", "identity.sourceIp"),
    ("event", "eventType"),
    ("route", "routeKey"),
    ("connection", "connectionId"),
    ("status", "status"),
    ("integrationLatency", "integrationLatency"),
    ("error", "error.message"),
    ("authorizerError", "authorizer.error"),
];

/// The group of the HTTP API's lines.
const HTTP_LOG: &str = "HttpApiLog";
/// The group of the WebSocket API's lines.
const WEBSOCKET_LOG: &str = "WebsocketApiLog";
/// The account's role for API Gateway's logs, in this region.
const ACCOUNT: &str = "ApiGatewayAccount";

/// Declares the groups, and the account's role, for the root stack.
///
/// A WebSocket API writes its log by a role that an account has once in a region; an HTTP API needs none. The role
/// outlives the stack: other APIs of the account may have come to write by it.
pub(crate) fn resources() -> Map<String, Value> {
    let mut websocket = group("websocket");
    websocket["Condition"] = "LogsWebsocket".into();
    let role = json!({
        "Type": "AWS::IAM::Role",
        "Condition": "MakesLogRole",
        "DeletionPolicy": "Retain",
        "UpdateReplacePolicy": "Retain",
        "Properties": {
            "Description": "Lets API Gateway write the logs of this region's APIs",
            "AssumeRolePolicyDocument": {
                "Version": "2012-10-17",
                "Statement": [{
                    "Effect": "Allow",
                    "Principal": { "Service": "apigateway.amazonaws.com" },
                    "Action": "sts:AssumeRole"
                }]
            },
            "ManagedPolicyArns": [substitute(LOG_POLICY)]
        }
    });
    let account = json!({
        "Type": "AWS::ApiGateway::Account",
        "Condition": "MakesLogRole",
        "DeletionPolicy": "Retain",
        "UpdateReplacePolicy": "Retain",
        "Properties": { "CloudWatchRoleArn": attribute("ApiGatewayRole", "Arn") }
    });
    Map::from_iter([
        (HTTP_LOG.to_owned(), group("http")),
        (WEBSOCKET_LOG.to_owned(), websocket),
        ("ApiGatewayRole".to_owned(), role),
        (ACCOUNT.to_owned(), account),
    ])
}

/// The policy that API Gateway asks of the account's role (AWS: "Permissions for CloudWatch logging").
const LOG_POLICY: &str = "arn:${AWS::Partition}:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs";

fn group(api: &str) -> Value {
    json!({
        "Type": "AWS::Logs::LogGroup",
        "DeletionPolicy": "Delete",
        "UpdateReplacePolicy": "Delete",
        "Properties": {
            "LogGroupName": substitute(&format!("/aws/vendedlogs/proctor/${{Stage}}/{api}")),
            "RetentionInDays": reference("AccessLogRetention")
        }
    })
}

/// Returns the HTTP API's `AccessLogSettings`.
pub(crate) fn of_http() -> Value {
    settings(HTTP_LOG, &OF_HTTP)
}

/// Returns the WebSocket API's `AccessLogSettings`.
pub(crate) fn of_websocket() -> Value {
    settings(WEBSOCKET_LOG, &OF_WEBSOCKET)
}

/// Returns a description of the stage whose log is written by the account's role.
///
/// API Gateway refuses a stage with a log before there is the role. `DependsOn` can't name what a condition may leave
/// out, so it is this text that makes CloudFormation wait.
pub(crate) fn role_of_websocket() -> Value {
    only_if("MakesLogRole", &substitute(&format!("Logs by the role of ${{{ACCOUNT}}}")))
}

fn settings(group: &str, parts: &[(&str, &str)]) -> Value {
    let line: Map<String, Value> =
        parts.iter().map(|(name, variable)| ((*name).to_owned(), format!("$context.{variable}").into())).collect();
    json!({ "DestinationArn": attribute(group, "Arn"), "Format": Value::from(line).to_string() })
}
