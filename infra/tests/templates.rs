//! The templates are complete, within AWS's limits, and allow no more than they must.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use serde_json::Value;

fn resources(template: &Value) -> impl Iterator<Item = (&String, &Value)> {
    template["Resources"].as_object().unwrap().iter()
}

/// Returns every resource of `kind`, of all templates.
fn all_of(kind: &str) -> Vec<Value> {
    let templates = infra::templates();
    let all = templates.values().flat_map(resources);
    all.filter(|(_, resource)| resource["Type"] == kind).map(|(_, resource)| resource["Properties"].clone()).collect()
}

#[test]
fn every_operation_has_a_function_and_a_route_of_its_own() {
    let routes: BTreeSet<String> =
        all_of("AWS::ApiGatewayV2::Route").iter().map(|route| route["RouteKey"].as_str().unwrap().to_owned()).collect();
    assert_eq!(routes.len(), registry::routes().len() + 3, "one a route, $default, and the websocket's");
    assert!(routes.contains("POST /api/flows/{proxy+}") && routes.contains("GET /api/flows/{id}"));
    let built: BTreeSet<String> = all_of("AWS::Lambda::Function")
        .iter()
        .map(|function| function["Code"].as_str().unwrap().rsplit('/').next().unwrap().to_owned())
        .collect();
    let functions: BTreeSet<String> =
        registry::functions::functions().iter().map(|function| function.name.to_owned()).collect();
    assert_eq!(built, functions);
}

/// AWS: "Quotas" of API Gateway, CloudFormation, CloudWatch, IAM and Lambda.
#[test]
fn the_templates_stay_within_the_limits() {
    for (name, template) in infra::templates() {
        assert!((1..=500).contains(&resources(&template).count()), "{name} has too many resources, or none");
        assert!(template.to_string().len() <= 1_000_000, "{name} is too long");
    }
    assert!(all_of("AWS::ApiGatewayV2::Route").len() <= 300);
    assert!(all_of("AWS::ApiGatewayV2::Integration").len() <= 300);
    for function in all_of("AWS::Lambda::Function") {
        let longest_stage = 15;
        let name =
            function["FunctionName"]["Fn::Sub"].as_str().unwrap().replace("${Stage}", &"s".repeat(longest_stage));
        assert!(name.len() <= 64, "{name} is too long");
    }
    for role in all_of("AWS::IAM::Role") {
        assert!(role["Policies"].to_string().len() <= 10_240, "the inline policies of a role are too long");
    }
}

/// What may be allowed on `*`: (action, why there is no narrower resource).
const ANY_RESOURCE: [(&str, &str); 4] = [
    ("dynamodb:ListStreams", "takes no resource"),
    ("execute-api:ManageConnections", "any connection of the one WebSocket API, to be cut"),
    ("xray:PutTelemetryRecords", "takes no resource"),
    ("xray:PutTraceSegments", "takes no resource"),
];

/// What else may hold a `*`: (text, why).
const ANY_PART: [(&str, &str); 1] = [(
    "arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}:${Api}/*",
    "any stage and route of the one API may invoke the function; each function has one route",
)];

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(values) => values.iter().flat_map(texts).collect(),
        Value::Object(values) => values.values().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

/// Returns the policy statements within a role's properties, also those under a condition.
fn statements(value: &Value) -> Vec<Value> {
    match value {
        Value::Object(object) if object.contains_key("Effect") => vec![value.clone()],
        Value::Object(object) => object.values().flat_map(statements).collect(),
        Value::Array(values) => values.iter().flat_map(statements).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn nothing_is_allowed_on_everything_but_what_is_listed() {
    let mut used = BTreeSet::new();
    for role in all_of("AWS::IAM::Role") {
        assert!(role.get("ManagedPolicyArns").is_none(), "a managed policy allows more than one function needs");
        for statement in statements(&role) {
            assert!(statement.get("NotAction").is_none() && statement.get("NotResource").is_none());
            let actions = texts(&statement["Action"]);
            assert!(actions.iter().all(|action| !action.contains('*')), "{statement}");
            if texts(&statement["Resource"]).iter().any(|resource| resource.contains('*')) {
                for action in actions {
                    let listed = ANY_RESOURCE.iter().find(|(listed, _)| *listed == action);
                    used.insert(listed.unwrap_or_else(|| panic!("{action} on everything: {statement}")).0);
                }
            }
        }
    }
    assert_eq!(used, ANY_RESOURCE.iter().map(|(action, _)| *action).collect(), "the list has what is used and no more");
    for permission in all_of("AWS::Lambda::Permission") {
        for text in texts(&permission).iter().filter(|text| text.contains('*')) {
            assert!(ANY_PART.iter().any(|(listed, _)| listed == text), "{text}");
        }
    }
}

#[test]
fn a_function_may_do_with_the_table_what_its_route_declares() {
    let template = &infra::templates()["flow_run_states.json"];
    let role = &template["Resources"]["ReadFlowRunStateRole"]["Properties"];
    let resources: Vec<String> = statements(role).iter().flat_map(|statement| texts(&statement["Resource"])).collect();
    assert!(resources.iter().any(|resource| resource.ends_with(":table/${Table}/index/lookup")), "{resources:?}");
    let actions: Vec<String> = statements(role).iter().flat_map(|statement| texts(&statement["Action"])).collect();
    assert!(!actions.contains(&"dynamodb:PutItem".to_owned()), "{actions:?}");
}

#[test]
fn the_table_outlives_the_stack() {
    let root = &infra::templates()[infra::ROOT];
    let table = &root["Resources"]["Table"];
    assert_eq!(
        (table["DeletionPolicy"].as_str(), table["UpdateReplacePolicy"].as_str()),
        (Some("Retain"), Some("Retain"))
    );
    assert_eq!(root["Parameters"]["DeletionProtection"]["Default"], "true");
    assert_eq!(table["Properties"]["StreamSpecification"]["StreamViewType"], "NEW_AND_OLD_IMAGES");
}
