//! The templates are complete, within AWS's limits, and allow no more than they must.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use serde_json::{Value, json};

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
    let names: BTreeSet<String> =
        all_of("AWS::Lambda::Function").iter().map(|function| function["FunctionName"].to_string()).collect();
    assert_eq!(names.len(), all_of("AWS::Lambda::Function").len(), "each function has a name of its own");
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
    ("execute-api:ManageConnections", "any connection of the one WebSocket API, to be sent to or cut"),
    ("xray:PutTelemetryRecords", "takes no resource"),
    ("xray:PutTraceSegments", "takes no resource"),
];

/// What else may hold a `*`: (text, why).
const ANY_PART: [(&str, &str); 1] = [(
    "arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}:${Api}/*",
    "any stage and route of the one API may invoke the function; each function has one route",
)];

/// The managed policy of the account's role for all logs of API Gateway, and who alone may take that role.
const ANY_API: (&str, &str) = (
    "arn:${AWS::Partition}:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs",
    "apigateway.amazonaws.com",
);

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
        let managed: Vec<String> = role.get("ManagedPolicyArns").map(texts).unwrap_or_default();
        assert!(
            managed
                .iter()
                .all(|policy| policy == ANY_API.0 && role["AssumeRolePolicyDocument"].to_string().contains(ANY_API.1)),
            "a managed policy allows more than one function needs: {managed:?}"
        );
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
fn the_functions_that_read_assets_have_the_layer_and_no_others() {
    let templates = infra::templates();
    let mut have = BTreeSet::new();
    for template in templates.values() {
        for (_, function) in resources(template).filter(|(_, one)| one["Type"] == "AWS::Lambda::Function") {
            let properties = &function["Properties"];
            let folder = properties["Environment"]["Variables"].get("PROCTOR_ASSETS");
            assert_eq!(folder.is_some(), properties.get("Layers").is_some());
            if let Some(layers) = properties.get("Layers") {
                assert_eq!((layers, folder.unwrap()), (&json!([{ "Ref": "Assets" }]), &json!("/opt/assets")));
                have.insert(properties["Code"].as_str().unwrap().rsplit('/').next().unwrap());
            }
        }
    }
    let read = registry::routes().into_iter().filter(|route| route.reads_assets).map(|route| route.operation);
    assert_eq!(have, read.collect());
    assert!(have.contains("read_view_content"));
    assert_eq!(resource(infra::ROOT, "Assets")["Properties"]["Content"], "../layer");
    assert_eq!(resource(infra::ROOT, "Collections")["Properties"]["Parameters"]["Assets"], json!({ "Ref": "Assets" }));
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

/// Returns a parameter's reference, and checks that the root stack declares it with a default.
fn parameter(name: &str) -> Value {
    let declared = &infra::templates()[infra::ROOT]["Parameters"][name];
    assert!(declared.get("Default").is_some() && declared.get("Description").is_some(), "{name}");
    json!({ "Ref": name })
}

/// Returns the resource `id` of a template.
fn resource(template: &str, id: &str) -> Value {
    infra::templates()[template]["Resources"][id].clone()
}

/// Returns what is left of `value` where its condition holds, and checks that it has that condition.
fn under<'v>(condition: &str, value: &'v Value) -> &'v Value {
    let branches = value["Fn::If"].as_array().unwrap_or_else(|| panic!("{value} has no condition"));
    assert_eq!(branches[0], condition);
    &branches[1]
}

#[test]
fn both_stages_throttle_what_the_parameters_say() {
    for (stage, rate, burst) in [
        ("HttpApiStage", "ThrottleRate", "ThrottleBurst"),
        ("WebsocketApiStage", "WebsocketThrottleRate", "WebsocketThrottleBurst"),
    ] {
        let expected = json!({ "ThrottlingRateLimit": parameter(rate), "ThrottlingBurstLimit": parameter(burst) });
        assert_eq!(resource(infra::ROOT, stage)["Properties"]["DefaultRouteSettings"], expected);
    }
}

/// What an access log may have: nothing that a caller chose but method, path and route.
const LOGGED: [&str; 15] = [
    "authorizer.error",
    "connectionId",
    "error.message",
    "eventType",
    "httpMethod",
    "identity.sourceIp",
    "integrationErrorMessage",
    "integrationLatency",
    "path",
    "requestId",
    "requestTime",
    "responseLatency",
    "responseLength",
    "routeKey",
    "status",
];

#[test]
fn both_stages_log_who_calls_and_no_secret() {
    let of_stage = |stage: &str| resource(infra::ROOT, stage)["Properties"]["AccessLogSettings"].clone();
    let (http, websocket) = (of_stage("HttpApiStage"), of_stage("WebsocketApiStage"));
    let mut logged = BTreeSet::new();
    for (settings, group) in [(&http, "HttpApiLog"), (under("LogsWebsocket", &websocket), "WebsocketApiLog")] {
        assert_eq!(settings["DestinationArn"], json!({ "Fn::GetAtt": [group, "Arn"] }));
        let line: Value = serde_json::from_str(settings["Format"].as_str().unwrap()).unwrap();
        logged.extend(texts(&line).iter().map(|text| text.strip_prefix("$context.").unwrap().to_owned()));
        let properties = &resource(infra::ROOT, group)["Properties"];
        assert_eq!(properties["RetentionInDays"], parameter("AccessLogRetention"));
    }
    assert_eq!(logged, LOGGED.map(str::to_owned).into());
}

#[test]
fn the_account_s_role_for_logs_outlives_the_stack_and_is_there_before_the_stage() {
    for id in ["ApiGatewayRole", "ApiGatewayAccount"] {
        let declared = resource(infra::ROOT, id);
        assert_eq!(
            (&declared["Condition"], &declared["DeletionPolicy"], &declared["UpdateReplacePolicy"]),
            (&json!("MakesLogRole"), &json!("Retain"), &json!("Retain"))
        );
    }
    let waits = resource(infra::ROOT, "WebsocketApiStage")["Properties"]["Description"].clone();
    assert!(under("MakesLogRole", &waits).to_string().contains("${ApiGatewayAccount}"));
    assert_eq!(parameter("ApiGatewayLogRole"), json!({ "Ref": "ApiGatewayLogRole" }));
}

#[test]
fn every_log_is_deleted_some_day() {
    let groups = all_of("AWS::Logs::LogGroup");
    assert!(groups.len() > 2);
    for group in groups {
        assert!(group["RetentionInDays"].get("Ref").is_some(), "{group}");
    }
}

#[test]
fn the_functions_of_queue_and_stream_are_bounded() {
    let queue = resource("work.json", "JobRunnerSource")["Properties"].clone();
    assert_eq!(queue["ScalingConfig"]["MaximumConcurrency"], parameter("JobConcurrency"));
    let stream = resource("stream.json", "StreamConsumerSource")["Properties"].clone();
    assert_eq!(stream["ParallelizationFactor"], parameter("StreamParallelization"));
    for (template, function, reserved) in [
        ("work.json", "JobRunner", "JobReservedConcurrency"),
        ("stream.json", "StreamConsumer", "StreamReservedConcurrency"),
    ] {
        let properties = resource(template, function)["Properties"].clone();
        let reserves = &properties["ReservedConcurrentExecutions"];
        assert_eq!(*under("ReservesConcurrency", reserves), parameter(reserved));
        let condition = &infra::templates()[template]["Conditions"]["ReservesConcurrency"];
        assert_eq!(*condition, json!({ "Fn::Not": [{ "Fn::Equals": [{ "Ref": reserved }, "0"] }] }));
    }
}

#[test]
fn api_gateway_asks_of_every_request_whether_it_came_through_cloudfront() {
    let (mut asked, mut others) = (0, BTreeSet::new());
    for (name, template) in infra::templates() {
        for (_, route) in resources(&template).filter(|(_, resource)| resource["Type"] == "AWS::ApiGatewayV2::Route") {
            let properties = &route["Properties"];
            if properties.get("AuthorizationType").is_none() {
                others.insert((name.clone(), properties["RouteKey"].as_str().unwrap().to_owned()));
                continue;
            }
            assert_eq!(*under("IsClosed", &properties["AuthorizationType"]), "CUSTOM");
            assert_eq!(*under("IsClosed", &properties["AuthorizerId"]), json!({ "Ref": "Authorizer" }));
            asked += 1;
        }
    }
    assert_eq!(asked, registry::routes().len() + 2, "one a route, $default, and $connect");
    let on_open_websockets = ["$default", "$disconnect"].map(|key| ("websockets.json".to_owned(), key.to_owned()));
    assert_eq!(others, on_open_websockets.into(), "API Gateway asks about connections, not about their messages");
    let closes = &infra::templates()[infra::ROOT]["Conditions"]["ClosesOrigin"];
    assert_eq!(*closes, json!({ "Fn::Equals": [parameter("CloseOrigin"), "true"] }));
}

#[test]
fn only_who_sends_to_clients_of_websockets_may_reach_their_connections() {
    let mut reaching = Vec::new();
    for (_, template) in infra::templates() {
        for (id, role) in resources(&template).filter(|(_, resource)| resource["Type"] == "AWS::IAM::Role") {
            for statement in statements(role) {
                if statement["Action"] == json!(["execute-api:ManageConnections"]) {
                    let function = id.strip_suffix("Role").unwrap();
                    let variables = &template["Resources"][function]["Properties"]["Environment"]["Variables"];
                    assert!(variables["PROCTOR_CONNECTIONS_URL"].is_object(), "{function} is told where they are");
                    let asks = statement["Resource"].to_string().contains("/GET/@connections/");
                    reaching.push((function.to_owned(), asks));
                }
            }
        }
    }
    reaching.sort();
    let expected = [("FireTimers", true), ("JobRunner", false), ("StreamConsumer", false), ("WebsocketMessage", false)];
    assert_eq!(reaching, expected.map(|(function, asks)| (function.to_owned(), asks)));
}

#[test]
fn every_websocket_of_the_contract_goes_to_the_websocket_api() {
    for path in [
        "/api/events/in",
        "/api/events/out",
        "/api/logs/out",
        "/api/task_runs/subscriptions/scheduled",
        "/api/work_pools/*/workers/connect",
    ] {
        let behaviour = behaviour(path);
        assert_eq!(behaviour["TargetOriginId"], "websockets", "{path}");
        assert!(behaviour["FunctionAssociations"][0]["FunctionARN"].to_string().contains("WebsocketPath"), "{path}");
    }
}

#[test]
fn cloudfront_shows_a_secret_that_the_authorizer_alone_can_read() {
    let distribution = resource(infra::ROOT, "Distribution")["Properties"]["DistributionConfig"].clone();
    let websockets = &distribution["Origins"][1]["Fn::If"];
    assert_eq!(websockets[0], "HasRelay");
    let apis = [&distribution["Origins"][0], &websockets[2]];
    assert!(apis.iter().all(|origin| origin.get("CustomOriginConfig").is_some()));
    for origin in apis {
        let headers = &origin["OriginCustomHeaders"];
        assert_eq!(headers[0]["HeaderName"], "x-origin-verify");
        let value = headers[0]["HeaderValue"]["Fn::Sub"].as_str().unwrap();
        assert!(value.starts_with("{{resolve:secretsmanager:${OriginSecret.Id}:"), "{value}");
    }
    let secret = resource(infra::ROOT, "OriginSecret");
    assert_eq!(secret["Properties"]["GenerateSecretString"]["PasswordLength"], 64);
    let readers: Vec<Value> = all_of("AWS::IAM::Role")
        .iter()
        .flat_map(statements)
        .filter(|statement| statement["Resource"] == json!({ "Ref": "OriginSecret" }))
        .collect();
    assert_eq!(readers.len(), 1);
    assert_eq!(readers[0]["Action"], json!(["secretsmanager:GetSecretValue"]));
    let authorizers = all_of("AWS::ApiGatewayV2::Authorizer");
    let identities: BTreeSet<&str> =
        authorizers.iter().map(|authorizer| authorizer["IdentitySource"][0].as_str().unwrap()).collect();
    assert_eq!(identities, ["$request.header.x-origin-verify", "route.request.header.x-origin-verify"].into());
}

/// The functions that know no callers: they are not called by clients, or anybody may call them.
const KNOW_NOBODY: [&str; 8] = [
    "authorize_origin",
    "websocket_disconnect",
    "fire_timers",
    "health_check",
    "job_runner",
    "perform_readiness_check",
    "stream_consumer",
    "tally_consumer",
];

#[test]
fn the_password_is_in_no_environment_and_only_who_asks_for_it_can_read_it() {
    let password = json!({ "Ref": "AuthStringSecret" });
    let (templates, mut others) = (infra::templates(), BTreeSet::new());
    for template in templates.values() {
        for (id, function) in resources(template).filter(|(_, one)| one["Type"] == "AWS::Lambda::Function") {
            let variables = &function["Properties"]["Environment"]["Variables"];
            assert!(variables.get("PREFECT_SERVER_API_AUTH_STRING").is_none());
            assert!(!variables.to_string().contains("resolve:"), "CloudFormation would put the value there");
            let role = &template["Resources"][format!("{id}Role")];
            let reads: Vec<Value> =
                statements(role).into_iter().filter(|statement| statement["Resource"] == password).collect();
            let Some(variable) = variables.get("PROCTOR_AUTH_STRING_SECRET") else {
                assert!(reads.is_empty() && variables.get("PROCTOR_AUTH_MODE").is_none(), "{id}");
                others.insert(function["Properties"]["Code"].as_str().unwrap().rsplit('/').next().unwrap());
                continue;
            };
            assert_eq!(*under("HasPassword", variable), password);
            assert_eq!(reads.len(), 1, "{id}");
            assert_eq!(reads[0]["Action"], json!(["secretsmanager:GetSecretValue"]));
            assert!(role.to_string().contains(r#"{"Fn::If":["HasPassword",{"Sid":"ReadsThePassword""#), "{role}");
        }
        let parameters = template["Parameters"].as_object().unwrap();
        assert!(parameters.values().all(|parameter| parameter.get("NoEcho").is_none()), "no secret is a parameter");
    }
    assert_eq!(others, KNOW_NOBODY.into());
}

#[test]
fn tallies_are_written_by_one_function_a_batch_of_a_shard_at_a_time() {
    let stream = infra::templates()["stream.json"].clone();
    let source = &stream["Resources"]["TallyConsumerSource"]["Properties"];
    assert_eq!(source["ParallelizationFactor"], 1);
    assert!(source["TumblingWindowInSeconds"].as_u64().unwrap() > 0, "without a window no event names its shard");
    let updates: BTreeSet<String> = all_of("AWS::IAM::Role")
        .iter()
        .flat_map(statements)
        .filter(|statement| statement["Action"].to_string().contains("UpdateItem"))
        .map(|statement| statement["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"].to_string())
        .collect();
    assert_eq!(updates, [r#"["flow_run#*","event#*"]"#, r#"["tally#*"]"#].map(ToOwned::to_owned).into());
}

#[test]
fn a_password_is_made_where_none_is_given() {
    let made = resource(infra::ROOT, "AuthString");
    assert_eq!(made["Condition"], "MakesPassword");
    assert_eq!(made["Properties"]["GenerateSecretString"]["GenerateStringKey"], "password");
    let handed = resource(infra::ROOT, "Flows")["Properties"]["Parameters"]["AuthStringSecret"].clone();
    assert_eq!(*under("MakesPassword", &handed), json!({ "Fn::GetAtt": ["AuthString", "Id"] }));
    assert_eq!(handed["Fn::If"][2], parameter("AuthStringSecret"));
}

/// The functions that open the data of blocks, and those that seal it as well.
const OPEN: [&str; 7] = [
    "read_block_document_by_id",
    "read_block_document_by_name_for_block_type",
    "read_block_documents",
    "read_block_documents_for_block_type",
    "create_block_document",
    "update_block_document_data",
    "create_work_pool",
];
const SEAL: [&str; 2] = ["create_block_document", "update_block_document_data"];

#[test]
fn only_who_opens_or_seals_the_data_of_blocks_may_use_its_key_and_for_its_own_table_alone() {
    let (mut open, mut seal) = (BTreeSet::new(), BTreeSet::new());
    let templates = infra::templates();
    for template in templates.values() {
        for (id, function) in resources(template).filter(|(_, one)| one["Type"] == "AWS::Lambda::Function") {
            let name = function["Properties"]["Code"].as_str().unwrap().rsplit('/').next().unwrap();
            let role = &template["Resources"][format!("{id}Role")];
            let uses: Vec<Value> =
                statements(role).into_iter().filter(|one| one["Action"].to_string().contains("kms:")).collect();
            let told = function["Properties"]["Environment"]["Variables"].get("PROCTOR_SECRETS_KEY");
            assert_eq!(told.is_some(), !uses.is_empty(), "{name}");
            let [uses] = &uses[..] else { continue };
            assert_eq!(uses["Resource"][0], json!({ "Ref": "SecretsKey" }), "{name}");
            let of_the_table = json!({ "StringEquals": { "kms:EncryptionContext:proctor:table": { "Ref": "Table" } } });
            assert_eq!(uses["Condition"], of_the_table, "{name}");
            open.insert(name);
            if uses["Action"].to_string().contains("GenerateDataKey") {
                seal.insert(name);
            }
        }
    }
    assert_eq!(seal, SEAL.into());
    assert!(OPEN.iter().all(|name| open.contains(name)), "{open:?}");
    let others = ["delete_block_document", "count_block_documents", "read_block_types", "stream_consumer"];
    assert!(!others.iter().any(|name| open.contains(name)), "{open:?}");
}

#[test]
fn the_key_of_blocks_is_made_where_none_is_given_and_stays_with_the_table() {
    let made = resource(infra::ROOT, "MasterKey");
    assert_eq!((&made["Condition"], &made["DeletionPolicy"]), (&json!("MakesSecretsKey"), &json!("Retain")));
    assert_eq!(made["Properties"]["EnableKeyRotation"], true);
    let handed = resource(infra::ROOT, "BlockDocuments")["Properties"]["Parameters"]["SecretsKey"].clone();
    assert_eq!(*under("MakesSecretsKey", &handed), json!({ "Fn::GetAtt": ["MasterKey", "Arn"] }));
    assert_eq!(handed["Fn::If"][2], parameter("SecretsKey"));
}

#[test]
fn the_relay_is_an_option() {
    let root = &infra::templates()[infra::ROOT];
    assert_eq!(root["Parameters"]["Relay"]["Default"], "false");
    for id in ["RelayHost", "RelaySecret"] {
        assert_eq!(root["Resources"][id]["Condition"], "HasRelay", "{id}");
    }
    let distribution = distribution();
    let relay = under("HasRelay", &distribution["Origins"][1]).clone();
    assert!(relay["VpcOriginConfig"]["VpcOriginId"].is_object() && relay.get("OriginCustomHeaders").is_none());
    assert_eq!(relay["Id"], "websockets", "the websockets' paths lead there");
    let functions = under("HasRelay", distribution["CacheBehaviors"].as_array().unwrap().last().unwrap()).clone();
    assert_eq!((&functions["PathPattern"], &functions["TargetOriginId"]), (&json!("/relay/*"), &json!("websockets")));
    assert!(functions["AllowedMethods"].to_string().contains("POST"));
    for (_, template) in infra::templates() {
        for (id, resource) in resources(&template) {
            let variables = &resource["Properties"]["Environment"]["Variables"];
            if variables.get("PROCTOR_CONNECTIONS_URL").is_some() {
                assert_eq!(under("HasRelay", &variables["PROCTOR_RELAY_URL"]), &json!({ "Ref": "RelayUrl" }), "{id}");
                let role = template["Resources"][format!("{id}Role")].to_string();
                assert!(role.contains(r#"{"Fn::If":["HasRelay",{"Sid":"ReadsWhatTheRelayAsksFor""#), "{id}");
            }
        }
    }
    let rule = &root["Rules"]["ARelayHasAPrefixList"];
    assert!(rule["Assertions"].to_string().contains("RelayPrefixList"));
}

#[test]
fn nobody_but_cloudfront_gets_to_the_relay_and_it_may_do_three_things() {
    let role = resource("relay_host.json", "Role");
    let allowed: Vec<(Value, String)> = statements(&role)
        .into_iter()
        .filter(|statement| statement.get("Sid").is_some())
        .map(|statement| (statement["Action"].clone(), statement["Resource"].to_string()))
        .collect();
    assert_eq!(allowed.len(), 3);
    assert_eq!(allowed[0].0, json!(["lambda:InvokeFunction"]));
    for function in ["websocket_connect", "websocket_message", "websocket_disconnect"] {
        assert!(allowed[0].1.contains(&format!(":function:proctor-${{Stage}}-{function}\"")), "{}", allowed[0].1);
    }
    assert_eq!(allowed[1], (json!(["secretsmanager:GetSecretValue"]), json!({ "Ref": "RelaySecret" }).to_string()));
    assert_eq!(allowed[2], (json!(["lambda:GetLayerVersion"]), json!({ "Ref": "Binary" }).to_string()));

    let ingress = |group: &str| resource("relay_host.json", group)["Properties"]["SecurityGroupIngress"].clone();
    let machine = ingress("MachineSecurity");
    assert_eq!(machine.as_array().unwrap().len(), 1);
    assert_eq!(machine[0]["SourceSecurityGroupId"], json!({ "Fn::GetAtt": ["BalancerSecurity", "GroupId"] }));
    let balancer = ingress("BalancerSecurity");
    let sources: Vec<&Value> = balancer
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| rule.get("SourcePrefixListId").unwrap_or(&rule["CidrIp"]))
        .collect();
    let network = resource("relay_host.json", "Network")["Properties"]["CidrBlock"].clone();
    assert_eq!(sources, [&json!({ "Ref": "RelayPrefixList" }), &network]);
    assert_eq!(resource("relay_host.json", "Balancer")["Properties"]["Scheme"], "internal");
    for subnet in ["InnerA", "InnerB"] {
        assert!(infra::templates()["relay_host.json"]["Resources"].get(format!("{subnet}Routes")).is_none());
    }
    let data = resource("relay_host.json", "Machine")["Properties"]["LaunchTemplateData"].clone();
    assert_eq!(data["MetadataOptions"]["HttpTokens"], "required");
    assert!(data.get("KeyName").is_none());
    let start = data["UserData"]["Fn::Base64"]["Fn::Sub"].as_str().unwrap();
    assert!(start.contains("PROCTOR_RELAY_SECRET=${RelaySecret}") && !start.contains("resolve:"));
}

#[test]
fn never_do_two_relays_run_at_once() {
    let group = resource("relay_host.json", "Machines");
    let properties = &group["Properties"];
    assert_eq!((&properties["MinSize"], &properties["MaxSize"]), (&json!("1"), &json!("1")));
    assert_eq!(properties["InstanceMaintenancePolicy"]["MaxHealthyPercentage"], 100);
    assert_eq!(group["UpdatePolicy"]["AutoScalingRollingUpdate"]["MinInstancesInService"], 0);
}

#[test]
fn a_firewall_is_an_option() {
    let distribution = resource(infra::ROOT, "Distribution")["Properties"]["DistributionConfig"].clone();
    let chosen = under("HasWebAcl", &distribution["WebACLId"]);
    assert_eq!(*under("MakesWebAcl", chosen), json!({ "Fn::GetAtt": ["Firewall", "Arn"] }));
    assert_eq!(chosen["Fn::If"][2], parameter("WebAcl"));
    let firewall = resource(infra::ROOT, "Firewall");
    assert_eq!(
        (&firewall["Condition"], &firewall["Properties"]["Scope"]),
        (&json!("MakesWebAcl"), &json!("CLOUDFRONT"))
    );
    let rules = firewall["Properties"]["Rules"].as_array().unwrap();
    assert_eq!(rules[0]["Statement"]["RateBasedStatement"]["Limit"], parameter("WebAclRate"));
    assert_eq!(rules[0]["Action"]["Block"]["CustomResponse"]["ResponseCode"], 429, "the client tries again later");
    assert_eq!(rules[1]["Statement"]["ManagedRuleGroupStatement"]["Name"], "AWSManagedRulesCommonRuleSet");
    let samples = firewall.to_string().matches(r#""SampledRequestsEnabled":true"#).count();
    assert_eq!(samples, 0, "a sampled request shows its credentials");
    let rule = &infra::templates()[infra::ROOT]["Rules"]["AFirewallIsMadeInItsRegion"];
    assert!(rule["Assertions"].to_string().contains("us-east-1"));
}

#[test]
fn a_budget_tells_of_costs() {
    let budget = resource(infra::ROOT, "Budget");
    assert_eq!(budget["Condition"], "HasBudget");
    let properties = &budget["Properties"];
    assert_eq!(properties["Budget"]["BudgetLimit"]["Amount"], parameter("MonthlyBudget"));
    let told: Vec<(&str, u64)> = properties["NotificationsWithSubscribers"]
        .as_array()
        .unwrap()
        .iter()
        .inspect(|one| assert_eq!(one["Subscribers"][0]["Address"], parameter("BudgetEmail")))
        .map(|one| &one["Notification"])
        .map(|one| (one["NotificationType"].as_str().unwrap(), one["Threshold"].as_u64().unwrap()))
        .collect();
    assert_eq!(told, [("ACTUAL", 80), ("ACTUAL", 100), ("FORECASTED", 100)]);
}

#[test]
fn a_nested_stack_is_given_all_that_it_takes() {
    let root = &infra::templates()[infra::ROOT];
    for (_, stack) in resources(root).filter(|(_, one)| one["Type"] == "AWS::CloudFormation::Stack") {
        let file = stack["Properties"]["TemplateURL"].as_str().unwrap();
        let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
        let taken = names(&infra::templates()[file]["Parameters"]);
        assert_eq!(names(&stack["Properties"]["Parameters"]), taken, "{file}");
    }
}

/// Returns the configuration of the distribution.
fn distribution() -> Value {
    resource(infra::ROOT, "Distribution")["Properties"]["DistributionConfig"].clone()
}

/// Returns the distribution's behaviour of this pattern.
fn behaviour(pattern: &str) -> Value {
    let distribution = distribution();
    let behaviours = distribution["CacheBehaviors"].as_array().unwrap();
    behaviours.iter().find(|one| one["PathPattern"] == pattern).unwrap_or_else(|| panic!("{pattern}")).clone()
}

#[test]
fn the_page_s_bucket_is_private_and_read_by_this_distribution_alone() {
    let bucket = resource(infra::ROOT, "PageBucket")["Properties"].clone();
    let blocked = bucket["PublicAccessBlockConfiguration"].as_object().unwrap();
    assert!(blocked.len() == 4 && blocked.values().all(|is| *is == true));
    let encryption = &bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"][0];
    assert_eq!(encryption["ServerSideEncryptionByDefault"]["SSEAlgorithm"], "AES256");
    let policies = all_of("AWS::S3::BucketPolicy");
    assert_eq!(policies.len(), 1);
    let allowed: Vec<Value> = statements(&policies[0]).into_iter().filter(|one| one["Effect"] == "Allow").collect();
    let [reads] = &allowed[..] else { panic!("{allowed:?}") };
    assert_eq!(reads["Principal"], json!({ "Service": "cloudfront.amazonaws.com" }));
    assert_eq!(reads["Action"], "s3:GetObject");
    let source = &reads["Condition"]["StringEquals"]["AWS:SourceArn"]["Fn::Sub"];
    assert!(source.as_str().unwrap().ends_with(":distribution/${Distribution}"));
    let origin = distribution()["Origins"][2].clone();
    assert_eq!(origin["OriginAccessControlId"], json!({ "Fn::GetAtt": ["PageAccess", "Id"] }));
    assert!(origin.get("OriginCustomHeaders").is_none(), "the secret of the APIs is nothing for S3");
}

#[test]
fn the_api_is_never_cached_and_the_page_as_long_as_its_files_say() {
    let is_of_the_api =
        |behaviour: &Value| ["http", "websockets"].contains(&behaviour["TargetOriginId"].as_str().unwrap());
    let distribution = distribution();
    let behaviours = distribution["CacheBehaviors"].as_array().unwrap();
    let behaviours =
        behaviours.iter().map(|one| if one.get("Fn::If").is_some() { under("HasRelay", one) } else { one });
    for behaviour in behaviours.chain([&distribution["DefaultCacheBehavior"]]) {
        let (disabled, optimized) = ("4135ea2d-6df8-44a3-9df3-4b5a84be39ad", "658327ea-f89d-4fab-a63d-7e88639e58f6");
        assert_eq!(behaviour["CachePolicyId"], if is_of_the_api(behaviour) { disabled } else { optimized });
        assert_eq!(behaviour["Compress"].as_bool().unwrap_or_default(), !is_of_the_api(behaviour));
    }
    for path in ["/api/*", "/openapi.json", "/redoc", "/ui-settings"] {
        assert_eq!(behaviour(path)["TargetOriginId"], "http", "{path}");
    }
    let errors = distribution["CustomErrorResponses"].as_array().unwrap();
    assert!(errors.iter().all(|one| one["ErrorCachingMinTTL"] == 0 && one.get("ResponsePagePath").is_none()));
    assert!(errors.iter().any(|one| one["ErrorCode"] == 404), "what was not there may be there a moment later");
}

#[test]
fn every_page_is_protected_by_a_policy_of_its_own() {
    let policy = |pattern: &str| {
        let id = behaviour(pattern)["ResponseHeadersPolicyId"]["Ref"].as_str().unwrap().to_owned();
        let policy = resource(infra::ROOT, &id)["Properties"]["ResponseHeadersPolicyConfig"].clone();
        policy["SecurityHeadersConfig"].clone()
    };
    for (pattern, expected) in [("/docs", "default-src 'none'"), ("/proctor/*", "default-src 'self'")] {
        let security = policy(pattern);
        let told = security["ContentSecurityPolicy"]["ContentSecurityPolicy"].as_str().unwrap();
        assert!(told.starts_with(expected) && told.contains("frame-ancestors 'none'"), "{told}");
        assert_eq!(security["FrameOptions"]["FrameOption"], "DENY");
        assert_eq!(security["ContentTypeOptions"]["Override"], true);
    }
    let security = policy("/assets/*");
    assert_eq!(distribution()["DefaultCacheBehavior"]["ResponseHeadersPolicyId"], json!({ "Ref": "PageHeaders" }));
    let told = security["ContentSecurityPolicy"]["ContentSecurityPolicy"]["Fn::Sub"].as_str().unwrap();
    assert!(
        told.contains("connect-src 'self' ${PageSources};") && told.ends_with("frame-ancestors ${PageFrameAncestors}")
    );
    assert_eq!(parameter("PageSources"), json!({ "Ref": "PageSources" }));
    assert_eq!(under("FramesNothing", &security["FrameOptions"])["FrameOption"], "DENY");
    assert_eq!(under("FramesItself", &security["FrameOptions"]["Fn::If"][2])["FrameOption"], "SAMEORIGIN");
}

/// AWS: "Restrictions on CloudFront Functions", "JavaScript runtime 2.0 features for CloudFront Functions".
#[test]
fn the_functions_at_the_edge_are_what_their_runtime_takes() {
    let functions = all_of("AWS::CloudFront::Function");
    assert_eq!(functions.len(), 2);
    for function in functions {
        let code = texts(&function["FunctionCode"]).concat();
        assert!(code.len() <= 10 * 1024, "{} bytes", code.len());
        assert_eq!(function["FunctionConfig"]["Runtime"], "cloudfront-js-2.0");
        for later in ["=>", "`", "class ", "?.", "??", "...", " of ", "eval("] {
            assert!(!code.lines().filter(|line| !line.starts_with("//")).any(|line| line.contains(later)), "{later}");
        }
    }
}

/// CloudFront refuses a behaviour that leads to a group of origins and allows more.
#[test]
fn where_a_second_origin_is_asked_nothing_is_written() {
    let distribution = distribution();
    let group = &distribution["OriginGroups"]["Items"][0];
    let members: Vec<&Value> =
        group["Members"]["Items"].as_array().unwrap().iter().map(|one| &one["OriginId"]).collect();
    assert_eq!(members, ["page", "http"]);
    let behaviours = distribution["CacheBehaviors"].as_array().unwrap();
    let leads = behaviours.iter().filter(|one| one["TargetOriginId"] == group["Id"]);
    assert_eq!(leads.inspect(|one| assert_eq!(one["AllowedMethods"], json!(["GET", "HEAD"]))).count(), 6);
    let methods = distribution["DefaultCacheBehavior"]["AllowedMethods"].as_array().unwrap();
    assert!(methods.contains(&json!("POST")), "the function at the edge refuses it in JSON");
}

#[test]
fn the_fallback_tells_the_interfaces_where_the_api_is() {
    let variables = resource("fallback.json", "Fallback")["Properties"]["Environment"]["Variables"].clone();
    assert_eq!(variables["PREFECT_UI_API_URL"], json!({ "Ref": "ApiUrl" }));
    let given = resource(infra::ROOT, "Fallback")["Properties"]["Parameters"].clone();
    let api_url = infra::templates()[infra::ROOT]["Outputs"]["PrefectApiUrl"]["Value"].clone();
    assert_eq!(given["ApiUrl"], api_url);
    assert_eq!(given["PrefersSecondUi"]["Fn::If"][0], "PrefersSecondUi");
}
