//! The root stack: what there is one of, and the nested stacks.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::{
    ORIGIN, RELAY, WEBSOCKETS, WORK, api, assets, attribute, cost, edge, file, firewall, logical_id, logs, operations,
    origin, page, parameters, reference, relay, stacks, substitute, table, websocket,
};

/// Renders the root stack's template, over the rendered templates of the `nested` stacks.
pub(crate) fn template(nested: &BTreeMap<String, Value>) -> Value {
    let mut resources = Map::from_iter([("Table".to_owned(), table::resource())]);
    resources.extend(api::resources());
    resources.extend(websocket::resources());
    resources.extend(stacks().map(|stack| (logical_id(stack), nested_stack(stack, &nested[&file(stack)]))));
    resources.extend(assets::resources());
    resources.extend(edge::resources());
    resources.extend(page::resources());
    resources.extend(operations::resources());
    resources.extend(logs::resources());
    resources.extend(origin::resources());
    resources.extend(relay::secret());
    resources.extend(firewall::resources());
    resources.extend(cost::resources());
    resources.insert("AuthString".into(), auth_string());
    resources.insert("MasterKey".into(), master_key());
    crate::template(
        "Proctor: the Prefect 3 API on AWS Lambda and DynamoDB",
        &[
            ("Parameters", parameters::of_the_root()),
            ("Conditions", parameters::conditions_of_the_root()),
            ("Rules", parameters::rules()),
            ("Resources", resources.into()),
            ("Outputs", outputs()),
        ],
    )
}

/// Declares a nested stack, with a value for each parameter of its `template`.
fn nested_stack(stack: &str, template: &Value) -> Value {
    let parameters = template["Parameters"].as_object().into_iter().flat_map(|parameters| parameters.keys());
    let values: Map<String, Value> = parameters.map(|name| (name.clone(), value(stack, name))).collect();
    let mut declared = json!({
        "Type": "AWS::CloudFormation::Stack",
        "DeletionPolicy": "Delete",
        "UpdateReplacePolicy": "Delete",
        "Properties": { "TemplateURL": file(stack), "Parameters": values }
    });
    let condition = match stack {
        ORIGIN => "ClosesOrigin",
        RELAY => "HasRelay",
        _ => return declared,
    };
    declared["Condition"] = condition.into();
    declared
}

/// Returns the value of the parameter `name` of a nested stack.
fn value(stack: &str, name: &str) -> Value {
    let api = if stack == WEBSOCKETS { "WebsocketApi" } else { "HttpApi" };
    let output = |stack: &str, output: &str| attribute(&logical_id(stack), &format!("Outputs.{output}"));
    match name {
        "Api" => reference(api),
        "Authorizer" => json!({ "Fn::If": ["ClosesOrigin", output(ORIGIN, &origin::authorizer_of(api)), ""] }),
        "AuthStringSecret" => auth_string_secret(),
        "SecretsKey" => secrets_key(),
        "ApiUrl" => address(common::http::PREFIX),
        "PrefersSecondUi" => json!({ "Fn::If": ["PrefersSecondUi", "true", "false"] }),
        "OriginSecret" => attribute("OriginSecret", "Id"),
        "RelaySecret" if stack == RELAY => reference("RelaySecret"),
        "RelaySecret" => json!({ "Fn::If": ["HasRelay", reference("RelaySecret"), ""] }),
        "RelayUrl" => relay::url(),
        "Queue" | "QueueUrl" => output(WORK, name),
        "TableStream" => attribute("Table", "StreamArn"),
        _ => reference(name),
    }
}

/// Declares the secret with the password of callers, where there is none yet.
fn auth_string() -> Value {
    json!({
        "Type": "AWS::SecretsManager::Secret",
        "Condition": "MakesPassword",
        "DeletionPolicy": "Delete",
        "UpdateReplacePolicy": "Delete",
        "Properties": {
            "Description": substitute("username:password is the PREFECT_API_AUTH_STRING of proctor-${Stage}"),
            "GenerateSecretString": {
                "SecretStringTemplate": json!({ "username": "prefect" }).to_string(),
                "GenerateStringKey": "password",
                "PasswordLength": 40,
                "ExcludePunctuation": true
            }
        }
    })
}

/// Returns the ARN of the secret with the password, made or given; empty where nobody asks for one.
fn auth_string_secret() -> Value {
    json!({ "Fn::If": ["MakesPassword", attribute("AuthString", "Id"), reference("AuthStringSecret")] })
}

/// Declares the key in KMS that the data of blocks is sealed with, where none is given.
///
/// It stays with the table when the stack goes: without it, what is sealed there could never be read.
fn master_key() -> Value {
    json!({
        "Type": "AWS::KMS::Key",
        "Condition": "MakesSecretsKey",
        "DeletionPolicy": "Retain",
        "UpdateReplacePolicy": "Retain",
        "Properties": {
            "Description": substitute("Wraps the keys that the data of blocks of proctor-${Stage} is sealed with"),
            "EnableKeyRotation": true,
            "KeyPolicy": {
                "Version": "2012-10-17",
                "Statement": [{
                    "Sid": "LetsRolesOfTheAccountAllowItsUse",
                    "Effect": "Allow",
                    "Principal": { "AWS": substitute("arn:${AWS::Partition}:iam::${AWS::AccountId}:root") },
                    "Action": "kms:*",
                    "Resource": "*"
                }]
            }
        }
    })
}

/// Returns the ARN of that key, made or given.
fn secrets_key() -> Value {
    json!({ "Fn::If": ["MakesSecretsKey", attribute("MasterKey", "Arn"), reference("SecretsKey")] })
}

/// Returns the address of `path` for those who come through CloudFront.
fn address(path: &str) -> Value {
    let host = json!({ "Fn::If": ["HasDomain", reference("CustomDomain"), attribute("Distribution", "DomainName")] });
    json!({ "Fn::Join": ["", ["https://", host, path]] })
}

fn outputs() -> Value {
    json!({
        "PrefectApiUrl": {
            "Description": "The client's PREFECT_API_URL",
            "Value": address(common::http::PREFIX)
        },
        "PageUrl": { "Description": "Where a browser finds the page", "Value": address("/") },
        "PageBucket": { "Description": "Where the page's files are uploaded to", "Value": reference("PageBucket") },
        "DistributionId": {
            "Description": "What an invalidation names once other files are uploaded",
            "Value": reference("Distribution")
        },
        "DistributionDomain": {
            "Description": "What the DNS record of CustomDomain points to",
            "Value": attribute("Distribution", "DomainName")
        },
        "HttpApiUrl": {
            "Description": "The HTTP API behind CloudFront",
            "Value": substitute(&format!(
                "https://${{HttpApi}}.execute-api.${{AWS::Region}}.${{AWS::URLSuffix}}{}", common::http::PREFIX
            ))
        },
        "WebsocketUrl": {
            "Description": "The WebSocket API behind CloudFront",
            "Value": substitute(&format!(
                "wss://${{WebsocketApi}}.execute-api.${{AWS::Region}}.${{AWS::URLSuffix}}/{}", websocket::STAGE
            ))
        },
        "AuthStringSecretArn": {
            "Condition": "HasPassword",
            "Description": "The secret with the client's PREFECT_API_AUTH_STRING",
            "Value": auth_string_secret()
        },
        "OriginSecretArn": {
            "Description": "The secret that CloudFront shows to the APIs",
            "Value": attribute("OriginSecret", "Id")
        },
        "RelaySecretArn": {
            "Condition": "HasRelay",
            "Description": "The secret that functions show to the relay",
            "Value": reference("RelaySecret")
        },
        "SecretsKeyArn": {
            "Description": "The KMS key that the data of blocks is sealed with, which outlives the stack",
            "Value": secrets_key()
        },
        "TableName": { "Description": "The table, which outlives the stack", "Value": reference("Table") }
    })
}
