//! What keeps the APIs' own addresses closed to all but CloudFront (docs/decisions/0008-the-origin.md).
//!
//! CloudFront sends the value of a secret in a header. API Gateway asks one function, the authorizer, whether the value
//! is right, and remembers its answer; no other function knows the secret. A request without the header gets no
//! further than API Gateway.

use common::{lambda::ORIGIN_HEADER, store::TableAccess};
use serde_json::{Map, Value, json};

use crate::{
    attribute,
    function::{Environment, Function},
    only_if, parameters, reference, substitute, template,
    websocket::invocation_uri,
};

/// The authorizer's binary.
pub(crate) const AUTHORIZER: &str = registry::functions::AUTHORIZE_ORIGIN;

/// How long the authorizer may take, in seconds: API Gateway waits for 10.
const TIMEOUT: u32 = 9;

/// For how many seconds API Gateway remembers an answer; as long may a replaced value still open the HTTP API.
const REMEMBERED: u32 = 300;

/// Declares the secret, for the root stack.
pub(crate) fn resources() -> Map<String, Value> {
    let secret = json!({
        "Type": "AWS::SecretsManager::Secret",
        "DeletionPolicy": "Delete",
        "UpdateReplacePolicy": "Delete",
        "Properties": {
            "Description": substitute("What CloudFront shows to the APIs of proctor-${Stage}"),
            "GenerateSecretString": { "PasswordLength": 64, "ExcludePunctuation": true }
        }
    });
    Map::from_iter([("OriginSecret".to_owned(), secret)])
}

/// Returns the headers that CloudFront adds to each request.
pub(crate) fn headers() -> Value {
    // Name, part, and label of the value; without its id, it is the current one.
    let value = substitute("{{resolve:secretsmanager:${OriginSecret.Id}:SecretString:::${OriginSecretVersion}}}");
    json!([{ "HeaderName": ORIGIN_HEADER, "HeaderValue": value }])
}

/// Puts the authorizer in front of a route, in a nested stack that has the parameter `Authorizer`.
pub(crate) fn guard(route: &mut Value) {
    route["Properties"]["AuthorizationType"] = json!({ "Fn::If": ["IsClosed", "CUSTOM", "NONE"] });
    route["Properties"]["AuthorizerId"] = only_if("IsClosed", &reference("Authorizer"));
}

/// Renders the nested stack: the function, and an authorizer in each API.
pub(crate) fn stack() -> Value {
    let function = Function {
        name: AUTHORIZER,
        description: "Tells API Gateway which requests came through CloudFront".into(),
        timeout: TIMEOUT,
        access: TableAccess::NOTHING,
        reads_assets: false,
        statements: vec![json!({
            "Sid": "ReadsItsSecret",
            "Effect": "Allow",
            "Action": ["secretsmanager:GetSecretValue"],
            "Resource": reference("OriginSecret")
        })],
        environment: Environment::Only("PROCTOR_ORIGIN_SECRET", "OriginSecret"),
    };
    let id = function.id();
    let mut resources = function.resources();
    let over_http = json!({
        "IdentitySource": [format!("$request.header.{ORIGIN_HEADER}")],
        "AuthorizerPayloadFormatVersion": "2.0",
        "EnableSimpleResponses": true,
        "AuthorizerResultTtlInSeconds": REMEMBERED
    });
    let over_websocket = json!({ "IdentitySource": [format!("route.request.header.{ORIGIN_HEADER}")] });
    for (api, properties) in [("HttpApi", over_http), ("WebsocketApi", over_websocket)] {
        resources.extend(authorizer(&id, api, &properties));
    }
    let output = |api: &str| json!({ "Description": "The authorizer's id", "Value": reference(&authorizer_of(api)) });
    let outputs = json!({
        (authorizer_of("HttpApi")): output("HttpApi"),
        (authorizer_of("WebsocketApi")): output("WebsocketApi")
    });
    template(
        "Proctor: what lets only CloudFront through to the APIs",
        &[
            ("Parameters", parameters::of_a_nested_stack(&["HttpApi", "WebsocketApi", "OriginSecret"])),
            ("Conditions", parameters::conditions_of_a_nested_stack(&resources)),
            ("Resources", resources.into()),
            ("Outputs", outputs),
        ],
    )
}

/// Returns the id of the authorizer of `api`, and the name of the output that has it.
pub(crate) fn authorizer_of(api: &str) -> String {
    format!("{api}Authorizer")
}

/// Declares the authorizer of `api`, which the function `id` answers.
fn authorizer(id: &str, api: &str, properties: &Value) -> Map<String, Value> {
    let name = authorizer_of(api);
    let mut declared = json!({
        "ApiId": reference(api),
        "Name": "cloudfront",
        "AuthorizerType": "REQUEST",
        "AuthorizerUri": invocation_uri(id)
    });
    for (name, value) in properties.as_object().into_iter().flatten() {
        declared[name] = value.clone();
    }
    let source = "arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}:";
    let permission = json!({
        "Action": "lambda:InvokeFunction",
        "FunctionName": attribute(id, "Arn"),
        "Principal": "apigateway.amazonaws.com",
        "SourceArn": substitute(&format!("{source}${{{api}}}/authorizers/${{{name}}}"))
    });
    Map::from_iter([
        (name.clone(), json!({ "Type": "AWS::ApiGatewayV2::Authorizer", "Properties": declared })),
        (format!("{name}Permission"), json!({ "Type": "AWS::Lambda::Permission", "Properties": permission })),
    ])
}
