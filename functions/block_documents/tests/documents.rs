//! Block documents: what no client sees of them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use axum::{
    Router,
    body::{Body, to_bytes},
    http::Request,
};
use common::{
    App, Error, Settings, Store,
    blocks::resealing::{self, KEPT},
    http::service,
    model::{BlockDocument, BlockDocumentId, BlockSchema, BlockType, Timestamp},
    runtime::key_file::KeyFile,
    store::{Shards, Versioned},
    vault::Vault,
};
use embedded::{
    EmbeddedDatabase,
    faults::{Fault, Faults},
};
use serde_json::{Value, json};
use tower::ServiceExt;

/// A server on a database of its own, whose writes may fail.
struct World {
    app: App,
    faults: Faults,
    /// The ids of a schema with the secret `x`, and of its type.
    schema: Value,
    r#type: Value,
}

fn with_another_key(app: &App) -> App {
    app.clone().with_vault(Vault::new(Box::new(KeyFile::in_memory().unwrap())))
}

impl World {
    async fn new(failing: &'static str) -> Self {
        let (database, faults) = (EmbeddedDatabase::in_memory().unwrap(), Faults::on(failing));
        let config = EmbeddedDatabase::config_with(faults.before(database.http_client()));
        let store = Store::new(aws_sdk_dynamodb::Client::from_conf(config), "proctor-records", Shards(2));
        store.create_table().await.unwrap();
        let app = with_another_key(&App::new(store, Settings::default()));
        let now = Timestamp::now();
        let block_type: BlockType = serde_json::from_value(json!({
            "id": uuid::Uuid::new_v4(), "created": now, "updated": now, "name": "Type", "slug": "type",
            "logo_url": null, "documentation_url": null, "description": null, "code_example": null,
        }))
        .unwrap();
        let schema: BlockSchema = serde_json::from_value(json!({
            "id": uuid::Uuid::new_v4(), "created": now, "updated": now, "checksum": "sha256:1", "version": "1",
            "fields": {"secret_fields": ["x"]}, "block_type_id": block_type.id, "block_type_slug": "type",
        }))
        .unwrap();
        app.store.add(&block_type).await.unwrap();
        app.store.add(&schema).await.unwrap();
        Self { app, faults, schema: json!(schema.id), r#type: json!(block_type.id) }
    }

    fn router(&self) -> Router {
        service(self.app.clone(), block_documents::ROUTES.iter().copied())
    }

    async fn create(&self, name: &str, data: Value) -> (u16, Value) {
        let body = json!({"name": name, "data": data, "block_schema_id": self.schema, "block_type_id": self.r#type});
        send(self.router(), "POST", "/api/block_documents/", &body).await
    }

    async fn made(&self, name: &str, data: Value) -> BlockDocumentId {
        let (status, made) = self.create(name, data).await;
        assert_eq!(status, 201, "{made}");
        serde_json::from_value(made["id"].clone()).unwrap()
    }

    async fn data(&self, id: BlockDocumentId) -> (u16, Value) {
        let path = format!("/api/block_documents/{id}?include_secrets=true");
        let (status, document) = send(self.router(), "GET", &path, &Value::Null).await;
        (status, if status == 200 { document["data"].clone() } else { document })
    }

    async fn stored(&self, id: BlockDocumentId) -> Versioned<BlockDocument> {
        self.app.store.read_one::<BlockDocument>(id).await.unwrap()
    }
}

async fn send(app: Router, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
    let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
    let answer = app.oneshot(request.body(body).unwrap()).await.unwrap();
    let status = answer.status().as_u16();
    let body = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

#[tokio::test]
async fn a_lost_answer_makes_one_document_and_says_so() {
    for fault in [Fault::AnswerLost, Fault::Forgotten] {
        let world = World::new("TransactWriteItems").await;
        // The first data key is in use by then, as it is written by a transaction as well.
        world.made("first", json!({})).await;
        world.faults.then(fault).go_on();
        let (status, made) = world.create("one", json!({"x": "secret"})).await;
        assert_eq!(status, 201, "{fault:?}: {made}");
        assert_eq!(world.create("one", json!({})).await.0, 409);
    }
}

#[tokio::test]
async fn the_first_data_key_is_made_once_whatever_becomes_of_the_answer() {
    for fault in [Fault::AnswerLost, Fault::Forgotten] {
        let world = World::new("TransactWriteItems").await;
        world.faults.then(fault).go_on();
        let id = world.made("one", json!({"x": "secret"})).await;
        assert_eq!(world.data(id).await, (200, json!({"x": "secret"})), "{fault:?}");
        assert_eq!(world.app.store.data_keys().await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_change_of_data_alone_moves_no_claim_and_a_change_of_nothing_writes_nothing() {
    let world = World::new("TransactWriteItems").await;
    let id = world.made("one", json!({"a": 1})).await;
    let path = format!("/api/block_documents/{id}");
    assert_eq!(send(world.router(), "PATCH", &path, &json!({})).await.0, 204);
    assert_eq!(world.stored(id).await.version, 1);
    assert_eq!(send(world.router(), "PATCH", &path, &json!({"data": {"b": 2}})).await.0, 204);
    assert_eq!(world.stored(id).await.version, 2);
    assert_eq!(world.data(id).await.1, json!({"a": 1, "b": 2}));
}

#[tokio::test]
async fn without_its_key_a_document_is_neither_read_nor_overwritten_and_can_be_deleted() {
    let mut world = World::new("nothing").await;
    let id = world.made("one", json!({"x": "secret"})).await;
    let (right, before) = (world.app.clone(), world.stored(id).await.record);
    world.app = with_another_key(&world.app);
    let path = format!("/api/block_documents/{id}");
    let (status, answer) = world.data(id).await;
    assert_eq!(status, 500);
    assert!(answer["exception_message"].as_str().unwrap().contains("master key"), "{answer}");
    for change in [json!({"data": {"x": "new"}}), json!({"data": {}, "merge_existing_data": false})] {
        assert_eq!(send(world.router(), "PATCH", &path, &change).await.0, 500, "{change}");
    }
    assert_eq!(world.create("two", json!({"x": "other"})).await.0, 500, "nothing is sealed with a key beside");
    assert!(matches!(resealing::renew(&world.app, || ()).await, Err(Error::Sealed(_))));
    assert_eq!(world.stored(id).await.record, before);
    let by_right = std::mem::replace(&mut world.app, right);
    assert_eq!(world.data(id).await, (200, json!({"x": "secret"})));
    world.app = by_right;
    assert_eq!(send(world.router(), "DELETE", &path, &Value::Null).await.0, 204);
}

#[tokio::test]
async fn what_is_sealed_can_not_be_put_under_another_document() {
    let world = World::new("nothing").await;
    let (one, other) = (world.made("one", json!({"x": "1"})).await, world.made("two", json!({"x": "2"})).await);
    let Versioned { mut record, version } = world.stored(other).await;
    record.data = world.stored(one).await.record.data;
    world.app.store.commit(vec![world.app.store.replace(&record, version).unwrap()]).await.unwrap();
    assert_eq!(world.data(other).await.0, 500);
    assert_eq!(world.data(one).await, (200, json!({"x": "1"})));
}

#[tokio::test]
async fn keys_are_replaced_while_documents_are_read_and_changed() {
    let world = World::new("nothing").await;
    let mut ids = Vec::new();
    for number in 0..30 {
        ids.push(world.made(&format!("document-{number}"), json!({"x": number})).await);
    }
    let old = world.stored(ids[0]).await.record.data.key;
    let updated = world.stored(ids[0]).await.record.updated;
    // Another process goes on with the old key for a while.
    let elsewhere = world.app.clone();
    let (key, resealed) = resealing::renew(&world.app, || ()).await.unwrap();
    assert_eq!(resealed, 30);
    for (number, id) in ids.iter().enumerate() {
        let stored = world.stored(*id).await.record;
        assert_eq!((stored.data.key, world.data(*id).await), (key, (200, json!({"x": number}))));
    }
    assert_eq!(world.stored(ids[0]).await.record.updated, updated, "nothing about the document has changed");
    let (sealed, context) = (world.stored(ids[0]).await.record.data, BlockDocument::seal_context(ids[0]));
    let plain = elsewhere.vault.open(&elsewhere.store, &sealed, &context).await;
    assert_eq!(plain.unwrap(), br#"{"x":0}"#);

    let now = Timestamp::now();
    assert_eq!(resealing::forget(&world.app, now).await.unwrap(), [], "it was in use a moment ago");
    let (keys, missing) = resealing::keys_in_use(&world.app).await.unwrap();
    assert_eq!(keys.iter().map(|of| (of.is_current, of.documents)).collect::<Vec<_>>(), [(false, 0), (true, 30)]);
    assert!(missing.is_empty());
    let later = now.plus_seconds(KEPT + 60.0);
    assert_eq!(resealing::forget(&world.app, later).await.unwrap(), [old]);
    assert_eq!(resealing::forget(&world.app, later).await.unwrap(), []);
    assert_eq!(world.data(ids[7]).await, (200, json!({"x": 7})));
}

#[tokio::test]
async fn a_key_that_something_is_sealed_with_is_never_forgotten() {
    let world = World::new("nothing").await;
    let id = world.made("one", json!({"x": 1})).await;
    world.app.vault.renew(&world.app.store).await.unwrap();
    let later = Timestamp::now().plus_seconds(10.0 * KEPT);
    assert_eq!(resealing::forget(&world.app, later).await.unwrap(), []);
    assert_eq!(world.data(id).await, (200, json!({"x": 1})));
    assert_eq!(resealing::renew(&world.app, || ()).await.unwrap().1, 1);
    let keys: BTreeSet<_> = world.app.store.data_keys().await.unwrap().into_iter().map(|key| key.id).collect();
    assert_eq!(keys.len(), 3);
    assert_eq!(resealing::forget(&world.app, later).await.unwrap().len(), 2);
}

#[tokio::test]
async fn documents_within_documents_are_bounded() {
    let world = World::new("nothing").await;
    let within = |id: BlockDocumentId| json!({"$ref": {"block_document_id": id}});
    let mut id = world.made("level-0", json!({"text": "x".repeat(2_000)})).await;
    for level in 1..=12 {
        let data: serde_json::Map<String, Value> =
            (0..10).map(|field| (format!("field-{field}"), within(id))).collect();
        let (status, answer) = world.create(&format!("level-{level}"), data.into()).await;
        if status == 422 {
            assert_eq!(answer["exception_detail"][0]["ctx"]["bound"], "block_bytes", "{answer}");
            assert!(level > 2, "{level}");
            let again = world.create(&format!("level-{level}"), json!({})).await;
            assert_eq!(again.0, 201, "nothing was made of what is refused: {}", again.1);
            return;
        }
        id = serde_json::from_value(answer["id"].clone()).unwrap();
    }
    panic!("a thousand millions of documents were put together");
}
