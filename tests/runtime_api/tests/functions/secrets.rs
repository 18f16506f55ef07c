//! What a function asks callers for may be in Secrets Manager: it is read at the start, or the function does not start.

use std::{
    collections::HashMap,
    process::Stdio,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use bytes::Bytes;
use common::http::Json;
use registry::functions::AUTHORIZE_ORIGIN;
use runtime_api::{Function, Outcome, binaries_beside_the_test};
use serde_json::{Value, json};
use tokio::{net::TcpListener, time::timeout};

use crate::stage::{PATIENCE, Stage, answer_of, sample};

/// The name of the secret in these tests.
const SECRET: &str = "arn:aws:secretsmanager:us-east-1:123456789012:secret:any";

/// Secrets Manager in small.
#[derive(Clone, Default)]
pub(crate) struct SecretsManager(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    values: HashMap<&'static str, &'static str>,
    /// How often it still answers that it is down.
    failures: usize,
    /// What was asked for.
    asked: Vec<String>,
}

impl SecretsManager {
    fn with(values: &[(&'static str, &'static str)]) -> Self {
        let inner = Inner { values: values.iter().copied().collect(), ..Inner::default() };
        Self(Arc::new(Mutex::new(inner)))
    }

    fn failing(self, times: usize) -> Self {
        self.0.lock().unwrap().failures = times;
        self
    }

    fn asked(&self) -> Vec<String> {
        self.0.lock().unwrap().asked.clone()
    }

    /// Serves requests; returns the address.
    async fn serve(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(axum::serve(listener, Router::new().fallback(answer).with_state(self.clone())).into_future());
        url
    }
}

async fn answer(State(secrets): State<SecretsManager>, headers: HeaderMap, body: Bytes) -> (StatusCode, Json<Value>) {
    let refusal = |status, code: &str| (status, Json(json!({ "__type": code, "Message": "no" })));
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let is_signed = header("authorization").contains("/us-east-1/secretsmanager/aws4_request");
    if header("x-amz-target") != "secretsmanager.GetSecretValue" || !is_signed {
        return refusal(StatusCode::BAD_REQUEST, "InvalidRequestException");
    }
    let question: Value = serde_json::from_slice(&body).unwrap();
    let label = question["VersionStage"].as_str().unwrap();
    let mut inner = secrets.0.lock().unwrap();
    inner.asked.push(label.to_owned());
    if inner.failures > 0 {
        inner.failures -= 1;
        return refusal(StatusCode::INTERNAL_SERVER_ERROR, "InternalServiceError");
    }
    match inner.values.get(label).filter(|_| question["SecretId"] == SECRET) {
        Some(value) => (StatusCode::OK, Json(json!({ "SecretString": value, "VersionStages": [label] }))),
        None => refusal(StatusCode::BAD_REQUEST, "ResourceNotFoundException"),
    }
}

/// Starts the function `name` beside `secrets`, with more `variables` in its environment.
async fn start(stage: &Stage, name: &str, secrets: &SecretsManager, variables: &[(&str, &str)]) -> Function {
    let url = secrets.serve().await;
    let endpoints = [
        ("AWS_ENDPOINT_URL_DYNAMODB", stage.url.as_str()),
        ("AWS_ENDPOINT_URL_SECRETS_MANAGER", &url),
        ("PROCTOR_SHARDS", "1"),
    ];
    let variables = endpoints.into_iter().chain(variables.iter().copied());
    let binaries = binaries_beside_the_test().unwrap();
    Function::start(&binaries, name, variables, Stdio::inherit()).await.unwrap()
}

const BASIC: [(&str, &str); 2] = [("PROCTOR_AUTH_MODE", "basic"), ("PROCTOR_AUTH_STRING_SECRET", SECRET)];

/// Returns the status that `hello` answers who sends `authorization`.
async fn status(function: &mut Function, authorization: &str) -> u64 {
    let mut event = sample("hello");
    event["headers"]["authorization"] = authorization.into();
    answer_of("hello", function, &event).await["statusCode"].as_u64().unwrap()
}

#[tokio::test]
async fn the_password_is_read_once_whoever_asks() {
    for value in ["admin:pass", r#"{"username": "admin", "password": "pass"}"#] {
        let (stage, secrets) = (Stage::new().await, SecretsManager::with(&[("AWSCURRENT", value)]));
        let mut function = start(&stage, "hello", &secrets, &BASIC).await;
        for (header, expected) in [
            ("Basic YWRtaW46cGFzcw==", 200),
            ("Basic YWRtaW46d3Jvbmc=", 401),
            ("Basic Og==", 401),
            ("Bearer pass", 401),
            ("Basic YWRtaW46cGFzcw==", 200),
        ] {
            assert_eq!(status(&mut function, header).await, expected, "{header}");
        }
        assert_eq!(secrets.asked(), ["AWSCURRENT"]);
    }
}

#[tokio::test]
async fn a_read_that_fails_is_tried_again() {
    let secrets = SecretsManager::with(&[("AWSCURRENT", "admin:pass")]).failing(1);
    let mut function = start(&Stage::new().await, "hello", &secrets, &BASIC).await;
    assert_eq!(status(&mut function, "Basic YWRtaW46cGFzcw==").await, 200);
    assert_eq!(secrets.asked(), ["AWSCURRENT"; 2]);
}

#[tokio::test]
async fn a_function_does_not_start_without_the_password_that_it_is_to_ask_for() {
    let stage = Stage::new().await;
    for secrets in [SecretsManager::default(), SecretsManager::with(&[("AWSCURRENT", "")])] {
        let mut function = start(&stage, "hello", &secrets, &BASIC).await;
        let invoked = timeout(PATIENCE, function.invoke(Bytes::from(sample("hello").to_string()))).await.unwrap();
        assert!(matches!(&invoked.outcome, Outcome::Ended(status) if status.contains("256")), "{:?}", invoked.outcome);
    }
}

#[tokio::test]
async fn a_function_that_asks_for_keys_reads_no_secret() {
    let (stage, secrets) = (Stage::new().await, SecretsManager::default());
    let mut function = start(&stage, "hello", &secrets, &[("PROCTOR_AUTH_MODE", "keys")]).await;
    assert_eq!(status(&mut function, "Basic YWRtaW46cGFzcw==").await, 401);
    assert!(secrets.asked().is_empty());
}

/// Returns what the sample's request is answered if it has `value`, by an HTTP API and by a WebSocket API.
async fn authorized(function: &mut Function, header: &str, value: &str) -> (bool, bool) {
    let mut event = sample(AUTHORIZE_ORIGIN);
    event["headers"] = json!({ header: value });
    let over_http = answer_of(AUTHORIZE_ORIGIN, function, &event).await;
    let method = "arn:aws:execute-api:us-east-1:123456789012:local/events-in/$connect";
    let event = json!({ "type": "REQUEST", "methodArn": method, "headers": { header: value } });
    let policy = answer_of(AUTHORIZE_ORIGIN, function, &event).await;
    let statement = &policy["policyDocument"]["Statement"][0];
    assert_eq!((&statement["Action"], &statement["Resource"]), (&json!("execute-api:Invoke"), &json!(method)));
    let over_websocket = match statement["Effect"].as_str().unwrap() {
        "Allow" => true,
        "Deny" => false,
        other => panic!("{other}"),
    };
    (over_http["isAuthorized"].as_bool().unwrap(), over_websocket)
}

#[tokio::test]
async fn the_api_is_open_to_who_knows_what_cloudfront_sends_or_sent_before() {
    let secrets = SecretsManager::with(&[("AWSCURRENT", "new"), ("AWSPREVIOUS", "old")]);
    let mut function =
        start(&Stage::new().await, AUTHORIZE_ORIGIN, &secrets, &[("PROCTOR_ORIGIN_SECRET", SECRET)]).await;
    for (header, value, expected) in [
        ("x-origin-verify", "new", true),
        ("X-Origin-Verify", "old", true),
        ("x-origin-verify", "other", false),
        ("x-origin-verify", "", false),
        ("authorization", "new", false),
    ] {
        assert_eq!(authorized(&mut function, header, value).await, (expected, expected), "{header}: {value}");
    }
    assert_eq!(secrets.asked(), ["AWSCURRENT", "AWSPREVIOUS"]);
}

/// Checks that the sample's request is let through where CloudFront sends what the sample has.
pub(crate) async fn let_through(stage: &Stage, event: &Value) -> Option<String> {
    let secrets = SecretsManager::with(&[("AWSCURRENT", "sample")]);
    let mut function = start(stage, AUTHORIZE_ORIGIN, &secrets, &[("PROCTOR_ORIGIN_SECRET", SECRET)]).await;
    let answer = answer_of(AUTHORIZE_ORIGIN, &mut function, event).await;
    if answer == json!({"isAuthorized": true}) { None } else { Some(answer.to_string()) }
}
