//! The HTTP API: one integration and one route for each operation, and a function for whatever has no route.

use common::{
    http::{PREFIX, Route},
    store::TableAccess,
};
use serde_json::{Map, Value, json};

use crate::{
    FALLBACK, attribute,
    function::{Environment, Function},
    logs, origin, parameters, reference, substitute, template,
};

/// How long a function of the API may take, in seconds: API Gateway waits for 30.
pub(crate) const TIMEOUT: u32 = 29;

/// Declares the API and its only stage, for the root stack.
pub(crate) fn resources() -> Map<String, Value> {
    let api = json!({
        "Type": "AWS::ApiGatewayV2::Api",
        "Properties": {
            "Name": substitute("proctor-${Stage}"),
            "Description": "The Prefect API over HTTP; the functions answer preflights themselves",
            "ProtocolType": "HTTP"
        }
    });
    let stage = json!({
        "Type": "AWS::ApiGatewayV2::Stage",
        "Properties": {
            "ApiId": reference("HttpApi"),
            "StageName": "$default",
            "AutoDeploy": true,
            "AccessLogSettings": logs::of_http(),
            "DefaultRouteSettings": throttle("Throttle")
        }
    });
    Map::from_iter([("HttpApi".into(), api), ("HttpApiStage".into(), stage)])
}

/// Returns the route settings of a stage that lets through what the parameters of this `name` say.
pub(crate) fn throttle(name: &str) -> Value {
    json!({
        "ThrottlingRateLimit": reference(&format!("{name}Rate")),
        "ThrottlingBurstLimit": reference(&format!("{name}Burst"))
    })
}

/// Returns the key of a route in API Gateway.
///
/// A key must not end with a slash, and a path that ends with one is not the path without it: there, what takes
/// everything behind the slash stands for nothing behind it. More special routes come before it.
pub(crate) fn route_key(route: &Route) -> String {
    let path = match route.path.strip_suffix('/') {
        Some(shorter) => format!("{shorter}/{{proxy+}}"),
        None => route.path.to_owned(),
    };
    format!("{} {PREFIX}{path}", route.method.as_str())
}

/// Connects the function `id` to the HTTP API under `route_key`, in a nested stack that has the parameter `Api`.
pub(crate) fn connection(id: &str, route_key: &str) -> Map<String, Value> {
    let properties = json!({ "IntegrationUri": attribute(id, "Arn"), "PayloadFormatVersion": "2.0" });
    let mut declared = connection_by(id, route_key, &properties);
    origin::guard(&mut declared[&format!("{id}Route")]);
    declared
}

/// Connects the function `id` to an API under `route_key`, by an integration that has these `properties` besides.
pub(crate) fn connection_by(id: &str, route_key: &str, properties: &Value) -> Map<String, Value> {
    let integration = format!("{id}Integration");
    let mut integrated = json!({ "ApiId": reference("Api"), "IntegrationType": "AWS_PROXY" });
    for (name, value) in properties.as_object().into_iter().flatten() {
        integrated[name] = value.clone();
    }
    Map::from_iter([
        (integration.clone(), json!({ "Type": "AWS::ApiGatewayV2::Integration", "Properties": integrated })),
        (
            format!("{id}Route"),
            json!({
                "Type": "AWS::ApiGatewayV2::Route",
                "Properties": {
                    "ApiId": reference("Api"),
                    "RouteKey": route_key,
                    "Target": { "Fn::Sub": format!("integrations/${{{integration}}}") }
                }
            }),
        ),
        (
            format!("{id}Permission"),
            json!({
                "Type": "AWS::Lambda::Permission",
                "Properties": {
                    "Action": "lambda:InvokeFunction",
                    "FunctionName": reference(id),
                    "Principal": "apigateway.amazonaws.com",
                    "SourceArn": substitute("arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}:${Api}/*")
                }
            }),
        ),
    ])
}

/// Renders the nested stack of the function for what has no route.
pub(crate) fn fallback_template() -> Value {
    let function = Function {
        name: FALLBACK,
        description: "Everything that has no route: redirects, preflights, documents, settings, what is not found"
            .into(),
        timeout: TIMEOUT,
        // Keys and tokens, which every request may be asked for.
        access: TableAccess::READS,
        reads_assets: false,
        statements: Vec::new(),
        environment: Environment::Api,
    };
    let mut resources = function.resources();
    let variables = &mut resources[&function.id()]["Properties"]["Environment"]["Variables"];
    variables["PREFECT_UI_API_URL"] = reference("ApiUrl");
    variables["PREFECT_SERVER_UI_V2_ENABLED"] = reference("PrefersSecondUi");
    resources.extend(connection(&function.id(), "$default"));
    let taken = [parameters::OF_THE_API.as_slice(), &parameters::OF_THE_FALLBACK].concat();
    template(
        "Proctor: what API Gateway has no route for",
        &[
            ("Parameters", parameters::of_a_nested_stack(&taken)),
            ("Conditions", parameters::conditions_of_a_nested_stack(&resources)),
            ("Resources", resources.into()),
        ],
    )
}
