//! What can be chosen when a stack is made: parameters of the root stack, handed down to the nested ones.

use serde_json::{Map, Value, json};

use crate::reference;

/// For how many days CloudWatch keeps logs, if it does not keep them for ever (AWS: "`PutRetentionPolicy`").
const RETENTIONS: [u32; 22] =
    [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653];

/// Returns the parameters of the root stack.
pub(crate) fn of_the_root() -> Value {
    let mut parameters = of_the_stack();
    for more in [of_the_page(), of_a_machine()] {
        for (name, parameter) in more.as_object().into_iter().flatten() {
            parameters[name] = parameter.clone();
        }
    }
    parameters
}

/// Returns whether there is a relay, and on what it runs.
fn of_a_machine() -> Value {
    json!({
        "Relay": {
            "Type": "String", "Default": "false", "AllowedValues": ["true", "false"],
            "Description": "Whether a machine that is always on holds the websockets, in API Gateway's place: messages of \
                up to 6 MB, and connections without end"
        },
        "RelayPrefixList": {
            "Type": "String", "Default": "", "AllowedPattern": "(pl-[0-9a-f]+)?",
            "Description": "Where Relay is true: the id of the prefix list com.amazonaws.global.cloudfront.origin-facing \
                in this region"
        },
        "RelayInstanceType": {
            "Type": "String", "Default": "t4g.nano", "AllowedPattern": "[a-z0-9-]+\\.[a-z0-9-]+",
            "Description": "The kind of machine that the relay runs on, of the Architecture"
        },
        "RelayConnections": {
            "Type": "Number", "Default": 1000, "MinValue": 1, "MaxValue": 65535,
            "Description": "How many connections the relay holds at once; a t4g.nano has room for 1000"
        }
    })
}

/// Returns how the page is shown.
fn of_the_page() -> Value {
    json!({
        "DefaultUi": {
            "Type": "String", "Default": "v2", "AllowedValues": ["v1", "v2"],
            "Description": "Which of Prefect's interfaces a browser gets at / that has not chosen one"
        },
        "PageSources": {
            "Type": "String", "Default": "", "AllowedPattern": "[^,;]*",
            "Description": "What the interfaces may load from other servers, as in a content security policy, such as \
                https://cdn.example; empty for nothing"
        },
        "PageFrameAncestors": {
            "Type": "String", "Default": "'none'", "AllowedPattern": "[^,;]+",
            "Description": "Which pages may show the interfaces in a frame, as in a content security policy"
        }
    })
}

fn of_the_stack() -> Value {
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
            "AllowedValues": RETENTIONS,
            "Description": "How long the functions' logs are kept, in days"
        },
        "AccessLogRetention": {
            "Type": "Number", "Default": 30,
            "AllowedValues": RETENTIONS,
            "Description": "How long the access logs of both APIs are kept, in days"
        },
        "ApiGatewayLogRole": {
            "Type": "String", "Default": "create", "AllowedValues": ["create", "existing", "none"],
            "Description": "The account's role in this region for WebSocket APIs' logs: made and set by this stack, \
                there already, or none and so no access log of websockets"
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
            "Description": "keys asks callers for an API key, basic for the password of a secret; none lets \
                everybody in who can reach the address"
        },
        "AuthStringSecret": {
            "Type": "String", "Default": "",
            "AllowedPattern": "(arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:.+)?",
            "Description": "Where AuthMode is basic: the ARN of the secret with user:password, or with an object of \
                username and password; empty makes one"
        },
        "SecretsKey": {
            "Type": "String", "Default": "",
            "AllowedPattern": "(arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/.+)?",
            "Description": "The ARN of the KMS key that the data of blocks is sealed with; empty makes one"
        },
        "FormerSecretsKey": {
            "Type": "String", "Default": "",
            "AllowedPattern": "(arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/.+)?",
            "Description": "The ARN of the KMS key before, while some of that data is still sealed with it"
        },
        "CloseOrigin": {
            "Type": "String", "Default": "true", "AllowedValues": ["true", "false"],
            "Description": "Whether API Gateway answers only what comes through CloudFront"
        },
        "OriginSecretVersion": {
            "Type": "String", "Default": "", "AllowedPattern": "[A-Za-z0-9-]{0,64}",
            "Description": "Which version of OriginSecret CloudFront sends; empty is the one that was current when \
                CloudFront was last changed"
        },
        "ThrottleRate": {
            "Type": "Number", "Default": 1000, "MinValue": 1,
            "Description": "Requests a second that the HTTP API lets through; more are told 429, after which the \
                client waits"
        },
        "ThrottleBurst": {
            "Type": "Number", "Default": 1000, "MinValue": 1,
            "Description": "Requests that the HTTP API lets through at once"
        },
        "WebsocketThrottleRate": {
            "Type": "Number", "Default": 5000, "MinValue": 1,
            "Description": "Connections and messages a second that the WebSocket API lets through; an event beyond \
                it may be lost"
        },
        "WebsocketThrottleBurst": {
            "Type": "Number", "Default": 5000, "MinValue": 1,
            "Description": "Connections and messages that the WebSocket API lets through at once"
        },
        "JobConcurrency": {
            "Type": "Number", "Default": 10, "MinValue": 2, "MaxValue": 1000,
            "Description": "How many batches of the queue are worked on at once, at most"
        },
        "JobReservedConcurrency": {
            "Type": "Number", "Default": 0, "MinValue": 0,
            "Description": "Executions set apart for the queue's function, JobConcurrency or more; 0 for none"
        },
        "StreamParallelization": {
            "Type": "Number", "Default": 10, "MinValue": 1, "MaxValue": 10,
            "Description": "How many batches of each shard of the table's stream are worked on at once, at most"
        },
        "StreamReservedConcurrency": {
            "Type": "Number", "Default": 0, "MinValue": 0,
            "Description": "Executions set apart for the stream's function, which it then can't exceed; 0 for none \
                and no bound but the account's"
        },
        "WebAcl": {
            "Type": "String", "Default": "",
            "AllowedPattern": "(create|arn:aws[a-z-]*:wafv2:us-east-1:[0-9]{12}:global/webacl/.+)?",
            "Description": "The firewall in front of CloudFront: the ARN of a web ACL, create in a stack in \
                us-east-1, or empty for none"
        },
        "WebAclRate": {
            "Type": "Number", "Default": 60000, "MinValue": 10, "MaxValue": 2_000_000_000,
            "Description": "Requests of one address in five minutes that the created web ACL lets through"
        },
        "MonthlyBudget": {
            "Type": "Number", "Default": 0, "MinValue": 0,
            "Description": "What a month may cost, in US dollars; an e-mail tells of 80 and of 100 percent, \
                and of a forecast of 100; 0 for no budget"
        },
        "BudgetEmail": {
            "Type": "String", "Default": "",
            "Description": "Who is told of MonthlyBudget"
        },
        "BudgetTag": {
            "Type": "String", "Default": "",
            "Description": "The cost allocation tag that MonthlyBudget counts, such as user:project$proctor; empty \
                counts the account"
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
    let condition = |name: &str| json!({ "Condition": name });
    json!({
        "HasDomain": is_set("CustomDomain"),
        "HasAlarmTopic": is_set("AlarmTopicArn"),
        "IsProtected": is("DeletionProtection", "true"),
        "IsProvisioned": is("TableBilling", "PROVISIONED"),
        "HasPassword": is("AuthMode", "basic"),
        "MakesPassword": { "Fn::And": [condition("HasPassword"), is("AuthStringSecret", "")] },
        "MakesSecretsKey": is("SecretsKey", ""),
        "ClosesOrigin": is("CloseOrigin", "true"),
        "LogsWebsocket": not(&is("ApiGatewayLogRole", "none")),
        "MakesLogRole": is("ApiGatewayLogRole", "create"),
        "PrefersSecondUi": is("DefaultUi", "v2"),
        "FramesNothing": is("PageFrameAncestors", "'none'"),
        "FramesItself": is("PageFrameAncestors", "'self'"),
        "HasRelay": is("Relay", "true"),
        "HasWebAcl": is_set("WebAcl"),
        "MakesWebAcl": is("WebAcl", "create"),
        "HasBudget": not(&is("MonthlyBudget", "0")),
        "HasBudgetTag": is_set("BudgetTag")
    })
}

/// Returns what must hold between the parameters, checked before anything is made.
pub(crate) fn rules() -> Value {
    let rule = |when: Value, then: Value, description: &str| {
        let assertion = json!({ "Assert": then, "AssertDescription": description });
        json!({ "RuleCondition": when, "Assertions": [assertion] })
    };
    json!({
        "ADomainHasACertificate":
            rule(is_set("CustomDomain"), is_set("CertificateArn"), "CustomDomain needs CertificateArn"),
        "ABudgetHasAnAddress":
            rule(not(&is("MonthlyBudget", "0")), is_set("BudgetEmail"), "MonthlyBudget needs BudgetEmail"),
        "ARelayHasAPrefixList": rule(
            is("Relay", "true"),
            is_set("RelayPrefixList"),
            "Relay needs RelayPrefixList; infra/README.md has the command that finds it"
        ),
        "AFirewallIsMadeInItsRegion": rule(
            is("WebAcl", "create"),
            is("AWS::Region", "us-east-1"),
            "CloudFront takes web ACLs of us-east-1 alone: create one there, and give its ARN as WebAcl"
        )
    })
}

fn is(name: &str, value: &str) -> Value {
    json!({ "Fn::Equals": [reference(name), value] })
}

fn is_set(name: &str) -> Value {
    not(&is(name, ""))
}

fn not(condition: &Value) -> Value {
    json!({ "Fn::Not": [condition] })
}

/// The parameters that every nested stack takes.
const OF_ALL: [&str; 5] = ["Stage", "Architecture", "Memory", "LogRetention", "Tracing"];

/// What a nested stack of functions of the API takes besides.
pub(crate) const OF_THE_API: [&str; 9] = [
    "Api",
    "Authorizer",
    "Table",
    "Shards",
    "EventRetention",
    "RunRetention",
    "CorsOrigins",
    "AuthMode",
    "AuthStringSecret",
];

/// What the nested stack of the function for what has no route takes besides.
pub(crate) const OF_THE_FALLBACK: [&str; 2] = ["ApiUrl", "PrefersSecondUi"];

/// What a nested stack with functions that open or seal the data of blocks takes besides.
pub(crate) const OF_SECRETS: [&str; 2] = ["SecretsKey", "FormerSecretsKey"];

/// What a nested stack with a function that measures the queue takes besides.
pub(crate) const OF_MEASURING_THE_QUEUE: [&str; 2] = ["Queue", "QueueUrl"];

/// What a nested stack with functions that reach clients of the relay takes besides.
pub(crate) const OF_REACHING_THE_RELAY: [&str; 2] = ["RelaySecret", "RelayUrl"];

/// What the nested stack of the stream's consumer takes besides.
pub(crate) const OF_THE_STREAM: [&str; 13] = [
    "Table",
    "WebsocketApi",
    "TableStream",
    "Queue",
    "QueueUrl",
    "StreamParallelization",
    "StreamReservedConcurrency",
    "RelaySecret",
    "RelayUrl",
    "Shards",
    "EventRetention",
    "RunRetention",
    "CorsOrigins",
];

/// What the nested stack of the queue takes besides.
pub(crate) const OF_THE_QUEUE: [&str; 12] = [
    "Table",
    "WebsocketApi",
    "RelaySecret",
    "RelayUrl",
    "JobConcurrency",
    "JobReservedConcurrency",
    "SecretsKey",
    "FormerSecretsKey",
    "Shards",
    "EventRetention",
    "RunRetention",
    "CorsOrigins",
];

/// What the nested stack of the relay takes, which has no functions.
const OF_THE_RELAY: [&str; 7] = [
    "Stage",
    "Architecture",
    "RelaySecret",
    "RelayPrefixList",
    "RelayInstanceType",
    "RelayConnections",
    "AlarmTopicArn",
];

/// Declares the parameters of a nested stack: those of every one, and `more`, of the root's types or else text.
pub(crate) fn of_a_nested_stack(more: &[&str]) -> Value {
    declared(OF_ALL.iter().chain(more))
}

/// Declares the parameters of the nested stack of the relay.
pub(crate) fn of_the_relay() -> Value {
    declared(OF_THE_RELAY.iter())
}

fn declared<'n>(names: impl Iterator<Item = &'n &'n str>) -> Value {
    let root = of_the_root();
    let kind = |name: &str| root.get(name).map_or_else(|| "String".into(), |parameter| parameter["Type"].clone());
    names.map(|name| ((*name).to_owned(), json!({ "Type": kind(name) }))).collect::<Map<_, _>>().into()
}

/// The condition under which the function of a nested stack has executions set apart.
pub(crate) const RESERVES: &str = "ReservesConcurrency";

/// Returns the conditions of a nested stack that its `resources` use.
pub(crate) fn conditions_of_a_nested_stack(resources: &Map<String, Value>) -> Value {
    let used = Value::from(resources.clone()).to_string();
    let reserved = ["JobReservedConcurrency", "StreamReservedConcurrency"];
    let reserved = reserved.into_iter().find(|name| used.contains(&format!("\"{name}\""))).unwrap_or_default();
    let conditions = [
        ("HasFormerSecretsKey", is_set("FormerSecretsKey")),
        ("HasAlarmTopic", is_set("AlarmTopicArn")),
        ("HasKeys", is("AuthMode", "keys")),
        ("HasPassword", is("AuthMode", "basic")),
        ("HasRelay", is_set("RelaySecret")),
        ("IsArm", is("Architecture", "arm64")),
        ("IsClosed", is_set("Authorizer")),
        ("IsTraced", is("Tracing", "true")),
        (RESERVES, not(&is(reserved, "0"))),
        ("RunsExpire", not(&is("RunRetention", "0"))),
    ];
    let conditions = conditions.into_iter().filter(|(name, _)| used.contains(&format!("\"{name}\"")));
    conditions.map(|(name, condition)| (name.to_owned(), condition)).collect::<Map<_, _>>().into()
}
