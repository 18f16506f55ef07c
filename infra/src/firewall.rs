//! The firewall in front of CloudFront, for who wants one: AWS's common rules, and a rate for each address.
//!
//! Requests hold what people program: code, templates, paths, addresses. The rules that look for these in bodies and
//! paths would refuse flows that are well, so they only count. What is refused for its rate is told 429, after which
//! the Prefect client waits and tries again; after the 403 of other rules it gives up.

use serde_json::{Map, Value, json};

use crate::{attribute, only_if, reference, relay, substitute};

/// The rules of AWS's common set that only count (AWS: "Baseline rule groups").
const COUNTED: [&str; 6] = [
    "CrossSiteScripting_BODY",
    "EC2MetaDataSSRF_BODY",
    "GenericLFI_BODY",
    "GenericRFI_BODY",
    "RestrictedExtensions_URIPATH",
    "SizeRestrictions_BODY",
];

/// Declares the list of rules, for the root stack.
pub(crate) fn resources() -> Map<String, Value> {
    let counted = COUNTED.map(|rule| json!({ "Name": rule, "ActionToUse": { "Count": {} } }));
    let rate = json!({
        "Name": "rate",
        "Priority": 0,
        "Action": { "Block": { "CustomResponse": { "ResponseCode": 429 } } },
        "Statement": { "RateBasedStatement": {
            "AggregateKeyType": "IP", "Limit": reference("WebAclRate"), "ScopeDownStatement": not_for_the_relay()
        } },
        "VisibilityConfig": visibility("rate")
    });
    let common = json!({
        "Name": "common",
        "Priority": 1,
        "OverrideAction": { "None": {} },
        "Statement": {
            "ManagedRuleGroupStatement": {
                "VendorName": "AWS",
                "Name": "AWSManagedRulesCommonRuleSet",
                "RuleActionOverrides": counted
            }
        },
        "VisibilityConfig": visibility("common")
    });
    let list = json!({
        "Type": "AWS::WAFv2::WebACL",
        "Condition": "MakesWebAcl",
        "Properties": {
            "Description": substitute("In front of proctor-${Stage}"),
            "Scope": "CLOUDFRONT",
            "DefaultAction": { "Allow": {} },
            "Rules": [rate, common],
            "VisibilityConfig": visibility("all")
        }
    });
    Map::from_iter([("Firewall".to_owned(), list)])
}

/// Returns what leaves out the calls of functions, which share few addresses; the relay refuses those of others unread.
fn not_for_the_relay() -> Value {
    let of_functions = json!({
        "ByteMatchStatement": {
            "FieldToMatch": { "UriPath": {} },
            "PositionalConstraint": "STARTS_WITH",
            "SearchString": format!("{}/", relay::PATH),
            "TextTransformations": [{ "Priority": 0, "Type": "NONE" }]
        }
    });
    json!({ "NotStatement": { "Statement": of_functions } })
}

/// Returns the ARN of the list of rules that CloudFront goes by: the stack's, one that is given, or none.
pub(crate) fn chosen() -> Value {
    let made_or_given = json!({ "Fn::If": ["MakesWebAcl", attribute("Firewall", "Arn"), reference("WebAcl")] });
    only_if("HasWebAcl", &made_or_given)
}

/// Returns what is shown of a rule: its counts, and no sampled request, which has the caller's credentials.
fn visibility(rule: &str) -> Value {
    json!({
        "CloudWatchMetricsEnabled": true,
        "SampledRequestsEnabled": false,
        "MetricName": substitute(&format!("proctor-${{Stage}}-{rule}"))
    })
}
