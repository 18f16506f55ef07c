//! API keys over HTTP: made, used, listed, revoked, and what is never told of them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{
        Request,
        header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE},
    },
};
use common::{
    App, Settings, Store,
    domain::access::{Mode, Role},
    http::service,
    model::{ApiKey, Timestamp},
    settings::Variables,
    store::Shards,
};
use embedded::EmbeddedDatabase;
use serde_json::{Value, json};
use tower::ServiceExt;

struct Server {
    app: App,
    router: Router,
    /// An administrator's key.
    key: String,
}

async fn server(access: Mode) -> Server {
    let client = aws_sdk_dynamodb::Client::from_conf(EmbeddedDatabase::in_memory().unwrap().sdk_config());
    let store = Store::new(client, "proctor-records", Shards(2));
    store.create_table().await.unwrap();
    let app = App::new(store, Settings { access, key_memory: 0.0, ..Settings::local(Variables::default()).unwrap() });
    let (record, key) = ApiKey::mint("first".into(), Role::Admin, None, Timestamp::now()).unwrap();
    app.store.add_api_key(&record).await.unwrap();
    Server { router: service(app.clone(), api_keys::ROUTES.iter().copied()), app, key }
}

impl Server {
    async fn ask_as(&self, key: &str, method: &str, path: &str, body: Value) -> (u16, Option<String>, Value) {
        let request = Request::builder().method(method).uri(format!("/api{path}"));
        let request = request.header(AUTHORIZATION, format!("Bearer {key}")).header(CONTENT_TYPE, "application/json");
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        let answer = self.router.clone().oneshot(request.body(body).unwrap()).await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
        let caching = headers.get(CACHE_CONTROL).map(|value| value.to_str().unwrap().to_owned());
        (status, caching, serde_json::from_slice(&body).unwrap_or_default())
    }

    async fn ask(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let (status, _, body) = self.ask_as(&self.key, method, path, body).await;
        (status, body)
    }
}

#[tokio::test]
async fn a_key_is_shown_once_and_works_until_it_is_revoked() {
    let server = server(Mode::Keys).await;
    let body = json!({"name": "ci", "role": "admin", "expires_in": 3_600});
    let (status, caching, made) = server.ask_as(&server.key, "POST", "/api_keys", body).await;
    assert_eq!((status, caching.as_deref()), (201, Some("no-store")));
    let (key, id) = (made["key"].as_str().unwrap(), made["id"].as_str().unwrap());
    assert!(key.starts_with(made["prefix"].as_str().unwrap()), "{made}");
    assert_eq!(server.ask_as(key, "GET", "/api_keys", Value::Null).await.0, 200);

    let (status, revoked) = server.ask("POST", &format!("/api_keys/{id}/revoke"), Value::Null).await;
    assert_eq!((status, &revoked["status"], &revoked["id"]), (200, &json!("revoked"), &made["id"]));
    assert_eq!(server.ask_as(key, "GET", "/api_keys", Value::Null).await.0, 401);
    let (status, again) = server.ask("POST", &format!("/api_keys/{id}/revoke"), Value::Null).await;
    assert_eq!((status, again), (200, revoked), "it stays revoked since when it was");
}

#[tokio::test]
async fn keys_are_listed_by_pages_without_anything_that_opens() {
    let server = server(Mode::Keys).await;
    let mut made = Vec::new();
    for name in ["one", "two", "three"] {
        made.push(server.ask("POST", "/api_keys", json!({"name": name, "role": "read-only"})).await.1);
    }
    let (_, listed) = server.ask("GET", "/api_keys?limit=2", Value::Null).await;
    let names: Vec<&str> = listed.as_array().unwrap().iter().map(|key| key["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["three", "two"]);
    assert_eq!(server.ask("GET", "/api_keys?offset=3", Value::Null).await.1[0]["name"], "first");
    let (_, all) = server.ask("GET", "/api_keys", Value::Null).await;
    for key in made {
        let secret = key["key"].as_str().unwrap().rsplit('_').next().unwrap();
        let record = server.app.store.api_key(key["id"].as_str().unwrap().parse().unwrap()).await.unwrap().unwrap();
        assert!(!all.to_string().contains(secret) && !all.to_string().contains(&record.digest), "{all}");
        assert_eq!((&key["expiration"], &key["status"]), (&Value::Null, &json!("active")));
    }
}

#[tokio::test]
async fn a_key_ends_when_its_time_is_over() {
    let server = server(Mode::Keys).await;
    let (_, made) = server.ask("POST", "/api_keys", json!({"name": "short", "role": "worker", "expires_in": 1})).await;
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    let key = made["key"].as_str().unwrap();
    assert_eq!(server.ask_as(key, "GET", "/api_keys", Value::Null).await.0, 401);
    assert_eq!(server.ask("GET", "/api_keys?limit=1", Value::Null).await.1[0]["status"], "expired");
}

#[tokio::test]
async fn nobody_but_an_administrator_sees_or_makes_keys() {
    let server = server(Mode::Keys).await;
    for role in ["read-only", "worker"] {
        let (_, made) = server.ask("POST", "/api_keys", json!({"name": role, "role": role})).await;
        let (key, id) = (made["key"].as_str().unwrap(), made["id"].as_str().unwrap());
        let revoke = format!("/api_keys/{id}/revoke");
        let create = json!({"name": "x", "role": "admin"});
        for (method, path, body) in
            [("GET", "/api_keys", Value::Null), ("POST", "/api_keys", create), ("POST", &revoke, Value::Null)]
        {
            let (status, _, told) = server.ask_as(key, method, path, body).await;
            assert_eq!(status, 403, "{role}: {method} {path}");
            assert!(told.to_string().contains("role admin"), "{told}");
        }
    }
}

#[tokio::test]
async fn a_server_that_asks_for_no_keys_makes_none() {
    let server = server(Mode::Open).await;
    let (status, told) = server.ask("POST", "/api_keys", json!({"name": "later", "role": "admin"})).await;
    assert_eq!(
        (status, told["detail"].as_str()),
        (409, Some("This server asks for no API keys, so a key would open nothing"))
    );
    assert_eq!(server.app.store.api_keys().await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_makes_no_key_is_refused() {
    let server = server(Mode::Keys).await;
    for body in [
        json!({"role": "admin"}),
        json!({"name": "", "role": "admin"}),
        json!({"name": " ", "role": "admin"}),
        json!({"name": "x", "role": "root"}),
        json!({"name": "x", "role": "admin", "expires_in": 0}),
        json!({"name": "x", "role": "admin", "expires_in": 315_360_001}),
        json!({"name": "x", "role": "admin", "digest": "y"}),
    ] {
        assert_eq!(server.ask("POST", "/api_keys", body.clone()).await.0, 422, "{body}");
    }
    assert_eq!(server.app.store.api_keys().await.unwrap().len(), 1);
    let unknown = "/api_keys/01980000-0000-7000-8000-000000000001/revoke";
    assert_eq!(server.ask("POST", unknown, Value::Null).await.0, 404);
}
