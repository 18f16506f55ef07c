//! What can be chosen when a stack is made: parameters of the root stack, handed down to the nested ones.

use serde_json::{Map, Value, json};

use crate::reference;

/// Returns the parameters of the root stack.
pub(crate) fn of_the_root() -> Value {
    json!({
        "Stage": {
            "Type": "String", "Default": "prod", "AllowedPattern": "[a-z][a-z0-9-]{0,14}",
            "Description": "The name of this deployment, in the names of its functions and log groups"
        },
        "Architecture": {
            "Type": "String", "Default": "arm64", "AllowedValues": ["arm64", "x86_64"],
            "Description": "What the binaries were built for"
        },
        "Memory": {
            "Type": "Number", "Default": 256, "MinValue": 128, "MaxValue": 10240,
            "Description": "Memory of each function, in MB; CPU goes with it"
        },
        "LogRetention": {
            "Type": "Number", "Default": 14,
            "AllowedValues": [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653],
            "Description": "How long the functions' logs are kept, in days"
        },
        "EventRetention": {
            "Type": "Number", "Default": 7, "MinValue": 1,
            "Description": "How long events are kept, in days"
        },
        "RunRetention": {
            "Type": "Number", "Default": 0, "MinValue": 0,
            "Description": "How long flow runs are kept after their end, in days; 0 for ever"
        },
        "AuthMode": {
            "Type": "String", "Default": "keys", "AllowedValues": ["keys", "basic", "none"],
            "Description": "keys asks callers for an API key, basic for AuthString; none lets everybody in who can reach the address"
        },
        "AuthString": {
            "Type": "String", "Default": "", "NoEcho": true,
            "Description": "user:password, the client's PREFECT_API_AUTH_STRING; needed where AuthMode is basic"
        },
        "CorsOrigins": {
            "Type": "String", "Default": "*",
            "Description": "The origins whose pages may call the API, with commas; * is any"
        },
        "CustomDomain": {
            "Type": "String", "Default": "",
            "Description": "A domain name for the API, such as prefect.example.com; empty takes the one of CloudFront"
        },
        "CertificateArn": {
            "Type": "String", "Default": "",
            "Description": "The certificate of CustomDomain, in us-east-1"
        },
        "TableBilling": {
            "Type": "String", "Default": "PAY_PER_REQUEST", "AllowedValues": ["PAY_PER_REQUEST", "PROVISIONED"],
            "Description": "Whether the table is paid by the request or by what is provisioned"
        },
        "ReadCapacity": {
            "Type": "Number", "Default": 5, "MinValue": 1,
            "Description": "Read units a second of the table and of each index, where it is provisioned"
        },
        "WriteCapacity": {
            "Type": "Number", "Default": 5, "MinValue": 1,
            "Description": "Write units a second of the table and of each index, where it is provisioned"
        },
        "Shards": {
            "Type": "Number", "Default": 20, "MinValue": 1, "MaxValue": 255,
            "Description": "Over how many index partitions each collection is spread; must never change in the life of a table"
        },
        "DeletionProtection": {
            "Type": "String", "Default": "true", "AllowedValues": ["true", "false"],
            "Description": "Whether DynamoDB refuses to delete the table"
        },
        "Tracing": {
            "Type": "String", "Default": "false", "AllowedValues": ["true", "false"],
            "Description": "Whether X-Ray traces the functions"
        },
        "AlarmTopicArn": {
            "Type": "String", "Default": "",
            "Description": "The SNS topic that alarms go to; empty for alarms that only show"
        }
    })
}

/// Returns the conditions of the root stack.
pub(crate) fn conditions_of_the_root() -> Value {
    let is_set = |name: &str| json!({ "Fn::Not": [{ "Fn::Equals": [reference(name), ""] }] });
    json!({
        "HasDomain": is_set("CustomDomain"),
        "HasAlarmTopic": is_set("AlarmTopicArn"),
        "IsProtected": { "Fn::Equals": [reference("DeletionProtection"), "true"] },
        "IsProvisioned": { "Fn::Equals": [reference("TableBilling"), "PROVISIONED"] }
    })
}

/// Returns what must hold between the parameters, checked before anything is made.
pub(crate) fn rules() -> Value {
    let is_set = |name: &str| json!({ "Fn::Not": [{ "Fn::Equals": [reference(name), ""] }] });
    json!({
        "BasicAuthenticationHasAPassword": {
            "RuleCondition": { "Fn::Equals": [reference("AuthMode"), "basic"] },
            "Assertions": [{
                "Assert": is_set("AuthString"),
                "AssertDescription": "AuthMode basic needs AuthString (user:password)"
            }]
        },
        "ADomainHasACertificate": {
            "RuleCondition": is_set("CustomDomain"),
            "Assertions": [{
                "Assert": is_set("CertificateArn"),
                "AssertDescription": "CustomDomain needs CertificateArn"
            }]
        }
    })
}

/// The parameters that every nested stack takes from the root stack under the same name.
const HANDED_DOWN: [&str; 11] = [
    "Stage",
    "Architecture",
    "Memory",
    "LogRetention",
    "EventRetention",
    "RunRetention",
    "AuthMode",
    "AuthString",
    "CorsOrigins",
    "Shards",
    "Tracing",
];

/// Declares the parameters of a nested stack: those of every one, and `more`, which are text.
pub(crate) fn of_a_nested_stack(more: &[&str]) -> Value {
    let root = of_the_root();
    let mut parameters = Map::new();
    for name in HANDED_DOWN {
        let mut parameter = Map::from_iter([("Type".to_owned(), root[name]["Type"].clone())]);
        if let Some(no_echo) = root[name].get("NoEcho") {
            parameter.insert("NoEcho".into(), no_echo.clone());
        }
        parameters.insert(name.into(), parameter.into());
    }
    for name in more {
        parameters.insert((*name).into(), json!({ "Type": "String" }));
    }
    parameters.into()
}

/// Returns the conditions of a nested stack that its `resources` use.
pub(crate) fn conditions_of_a_nested_stack(resources: &Map<String, Value>) -> Value {
    let used = Value::from(resources.clone()).to_string();
    let conditions = [
        ("HasKeys", json!({ "Fn::Equals": [reference("AuthMode"), "keys"] })),
        ("HasPassword", json!({ "Fn::Equals": [reference("AuthMode"), "basic"] })),
        ("IsTraced", json!({ "Fn::Equals": [reference("Tracing"), "true"] })),
        ("RunsExpire", json!({ "Fn::Not": [{ "Fn::Equals": [reference("RunRetention"), "0"] }] })),
    ];
    let conditions = conditions.into_iter().filter(|(name, _)| used.contains(&format!("\"{name}\"")));
    conditions.map(|(name, condition)| (name.to_owned(), condition)).collect::<Map<_, _>>().into()
}

/// Returns the values that the root stack gives a nested one: those of every one, and `more`.
pub(crate) fn handed_down(more: &[(&str, Value)]) -> Value {
    let mut values: Map<String, Value> = HANDED_DOWN.iter().map(|name| ((*name).to_owned(), reference(name))).collect();
    values.extend(more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    values.into()
}
