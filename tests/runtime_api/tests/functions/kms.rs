//! The data of blocks is sealed with data keys that KMS wraps: asked for once a process, and only where there is a block.

use std::{
    process::Stdio,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use common::{
    http::Json,
    model::{BlockSchema, BlockType, Timestamp},
};
use runtime_api::{Function, binaries_beside_the_test};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use uuid::Uuid;

use crate::stage::{Stage, answer_of, sample};

/// The key of these tests.
const KEY: &str = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555";

/// KMS in small: what it wraps is the plain key with its context, turned into what nobody but it can read.
#[derive(Clone, Default)]
struct Kms(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    wrapped: Vec<(Value, [u8; 32])>,
    /// The operations that were asked for.
    asked: Vec<String>,
    /// The code that it refuses everything with, if it does.
    refuses: Option<(StatusCode, &'static str)>,
}

impl Kms {
    async fn serve(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(axum::serve(listener, Router::new().fallback(answer).with_state(self.clone())).into_future());
        url
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap().asked)
    }

    fn refuse(&self, with: Option<(StatusCode, &'static str)>) {
        self.0.lock().unwrap().refuses = with;
    }
}

async fn answer(State(kms): State<Kms>, headers: HeaderMap, body: Bytes) -> (StatusCode, Json<Value>) {
    let refusal = |status, code: &str| (status, Json(json!({ "__type": code, "message": "no" })));
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let question: Value = serde_json::from_slice(&body).unwrap();
    let mut inner = kms.0.lock().unwrap();
    let operation = header("x-amz-target");
    inner.asked.push(operation.clone());
    if let Some((status, code)) = inner.refuses {
        return refusal(status, code);
    }
    let context = &question["EncryptionContext"];
    let is_of_the_table = context["proctor:table"] == "proctor-records";
    if !header("authorization").contains("/us-east-1/kms/aws4_request") || question["KeyId"] != KEY || !is_of_the_table
    {
        return refusal(StatusCode::BAD_REQUEST, "AccessDeniedException");
    }
    match operation.as_str() {
        "TrentService.GenerateDataKey" if question["KeySpec"] == "AES_256" => {
            let mut plain = [0; 32];
            plain[..16].copy_from_slice(Uuid::new_v4().as_bytes());
            let place = inner.wrapped.len().to_string();
            inner.wrapped.push((context.clone(), plain));
            let answer = json!({
                "CiphertextBlob": BASE64_STANDARD.encode(place), "Plaintext": BASE64_STANDARD.encode(plain), "KeyId": KEY,
            });
            (StatusCode::OK, Json(answer))
        }
        "TrentService.Decrypt" => {
            let blob = BASE64_STANDARD.decode(question["CiphertextBlob"].as_str().unwrap()).unwrap();
            let place: usize = String::from_utf8(blob).unwrap().parse().unwrap();
            match &inner.wrapped[place] {
                (wrapped_in, plain) if wrapped_in == context => {
                    (StatusCode::OK, Json(json!({ "Plaintext": BASE64_STANDARD.encode(plain), "KeyId": KEY })))
                }
                _ => refusal(StatusCode::BAD_REQUEST, "InvalidCiphertextException"),
            }
        }
        _ => refusal(StatusCode::BAD_REQUEST, "ValidationException"),
    }
}

async fn start(stage: &Stage, name: &str, kms: &str) -> Function {
    let variables = [
        ("AWS_ENDPOINT_URL_DYNAMODB", stage.url.as_str()),
        ("AWS_ENDPOINT_URL_KMS", kms),
        ("PROCTOR_SECRETS_KEY", KEY),
        ("PROCTOR_SHARDS", "1"),
        ("PROCTOR_AUTH_MODE", "none"),
    ];
    Function::start(&binaries_beside_the_test().unwrap(), name, variables, Stdio::inherit()).await.unwrap()
}

/// Adds a type and a schema; returns the event that makes a document of them.
async fn creation(stage: &Stage) -> Value {
    let now = Timestamp::now();
    let block_type: BlockType =
        serde_json::from_value(json!({"id": Uuid::new_v4(), "created": now, "updated": now, "name": "T", "slug": "t"}))
            .unwrap();
    let schema: BlockSchema = serde_json::from_value(json!({
        "id": Uuid::new_v4(), "created": now, "updated": now, "checksum": "sha256:1", "version": "1",
        "fields": {"secret_fields": ["x"]}, "block_type_id": block_type.id, "block_type_slug": "t",
    }))
    .unwrap();
    stage.app.store.add(&block_type).await.unwrap();
    stage.app.store.add(&schema).await.unwrap();
    let mut event = sample("create_block_document");
    let body = json!({
        "name": "one", "data": {"x": "a secret"}, "block_type_id": block_type.id, "block_schema_id": schema.id,
    });
    event["body"] = body.to_string().into();
    event
}

fn reading(made: &Value) -> Value {
    let body: Value = serde_json::from_str(made["body"].as_str().unwrap()).unwrap();
    let id = body["id"].as_str().unwrap();
    let mut event = sample("read_block_document_by_id");
    let path = format!("/api/block_documents/{id}");
    event["requestContext"]["http"]["path"] = path.clone().into();
    (event["rawPath"], event["rawQueryString"]) = (path.into(), "include_secrets=true".into());
    event["pathParameters"] = json!({ "id": id });
    event
}

#[tokio::test]
async fn a_process_asks_for_its_key_once_and_another_one_opens_what_it_sealed() {
    let (stage, kms) = (Stage::new().await, Kms::default());
    let url = kms.serve().await;
    let event = creation(&stage).await;
    let mut create = start(&stage, "create_block_document", &url).await;
    let made = answer_of("create_block_document", &mut create, &event).await;
    assert_eq!(made["statusCode"], 201, "{made}");
    let again = answer_of("create_block_document", &mut create, &event).await;
    assert_eq!(again["statusCode"], 409, "{again}");
    assert_eq!(kms.asked(), ["TrentService.GenerateDataKey"]);
    let mut read = start(&stage, "read_block_document_by_id", &url).await;
    for _ in 0..3 {
        let answer = answer_of("read_block_document_by_id", &mut read, &reading(&made)).await;
        assert!(answer["body"].as_str().unwrap().contains("a secret"), "{answer}");
    }
    assert_eq!(kms.asked(), ["TrentService.Decrypt"]);
    let stored = format!("{:?}", stage.items().await);
    assert!(stored.contains("data_keys") && !stored.contains("a secret"), "the table has it sealed: {stored}");
}

#[tokio::test]
async fn what_kms_refuses_is_told_and_what_passes_is_tried_again() {
    let (stage, kms) = (Stage::new().await, Kms::default());
    let url = kms.serve().await;
    let event = creation(&stage).await;
    let mut create = start(&stage, "create_block_document", &url).await;
    let made = answer_of("create_block_document", &mut create, &event).await;
    for (refused, status, told) in [
        ((StatusCode::BAD_REQUEST, "AccessDeniedException"), 500, "AccessDeniedException"),
        ((StatusCode::BAD_REQUEST, "DisabledException"), 500, "DisabledException"),
        ((StatusCode::INTERNAL_SERVER_ERROR, "KMSInternalException"), 503, "Service Unavailable"),
        ((StatusCode::BAD_REQUEST, "ThrottlingException"), 503, "Service Unavailable"),
    ] {
        kms.refuse(Some(refused));
        let mut read = start(&stage, "read_block_document_by_id", &url).await;
        let answer = answer_of("read_block_document_by_id", &mut read, &reading(&made)).await;
        assert_eq!(answer["statusCode"], status, "{answer}");
        assert!(answer["body"].as_str().unwrap().contains(told), "{answer}");
        kms.refuse(None);
        let answer = answer_of("read_block_document_by_id", &mut read, &reading(&made)).await;
        assert_eq!(answer["statusCode"], 200, "{answer}");
    }
}
