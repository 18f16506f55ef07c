//! API keys over HTTP: who gets in, who may do what, what it costs, and what the log never shows.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    io,
    sync::{Arc, Mutex},
};

use aws_sdk_dynamodb::Client;
use axum::{
    Router,
    body::{Body, to_bytes},
    http::{
        Request, StatusCode,
        header::{AUTHORIZATION, CONTENT_TYPE},
    },
    response::Response,
};
use common::{
    App, Settings, Store,
    access::operations,
    domain::access::{Mode, Password, Role, Secret, key},
    http::PREFIX,
};
use embedded::{
    EmbeddedDatabase,
    faults::{Fault, Faults},
};
use proctor::keys::{self, Action};
use tower::ServiceExt;

struct Server {
    app: App,
    service: Router,
}

impl Server {
    async fn with(settings: Settings, faults: &Faults) -> Self {
        let database = EmbeddedDatabase::in_memory().unwrap();
        let client = Client::from_conf(EmbeddedDatabase::config_with(faults.before(database.http_client())));
        let store = Store::new(client, &settings.table, settings.shards);
        store.create_table().await.unwrap();
        let app = App::new(store, settings);
        Self { service: proctor::app(app.clone()), app }
    }

    /// Starts a server that asks for keys and remembers them for `key_memory` seconds.
    async fn that_remembers(key_memory: f64) -> Self {
        Self::with(Settings { access: Mode::Keys, key_memory, ..Settings::default() }, &Faults::default()).await
    }

    async fn manage(&self, action: Action) -> String {
        keys::carry_out(&self.app.store, action).await.unwrap().to_string()
    }

    async fn key(&self, role: Role) -> String {
        self.manage(Action::Create { role, name: format!("the {role}"), expires_in: None }).await
    }

    async fn ask(&self, method: &str, path: &str, authorization: Option<&str>) -> Response {
        let mut request = Request::builder().method(method).uri(path).header("x-proctor-explain", "1");
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        self.service.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    }

    async fn status(&self, authorization: &str) -> StatusCode {
        self.ask("GET", "/api/hello", Some(authorization)).await.status()
    }
}

fn basic(text: &str) -> String {
    use base64::{Engine, engine::general_purpose::STANDARD};
    format!("Basic {}", STANDARD.encode(text))
}

#[tokio::test]
async fn a_key_opens_as_bearer_token_and_as_password() {
    let server = Server::that_remembers(30.0).await;
    let key = server.key(Role::ReadOnly).await;
    for header in [format!("Bearer {key}"), format!("bearer {key}"), basic(&key), basic(&format!("someone:{key}"))] {
        assert_eq!(server.status(&header).await, StatusCode::OK, "{header}");
    }
}

#[tokio::test]
async fn everything_else_is_refused_as_upstream_refuses() {
    let server = Server::that_remembers(30.0).await;
    let key = server.key(Role::Admin).await;
    let other_secret = key.chars().rev().take(64).collect::<String>();
    let forged = format!("{}_{other_secret}", key::shown(key::id(&key).unwrap()));
    let of_nobody = key::mint(common::model::ApiKeyId::new()).unwrap();
    for header in ["", "Bearer", "Bearer x", &key, &format!("Bearer {forged}"), &format!("Bearer {of_nobody}")] {
        assert_eq!(server.status(header).await, StatusCode::UNAUTHORIZED, "{header}");
    }
    let answer = server.ask("GET", "/api/nowhere", None).await;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    let body = to_bytes(answer.into_body(), 1_000).await.unwrap();
    assert_eq!(body, br#"{"exception_message":"Unauthorized"}"#.as_slice());
}

#[tokio::test]
async fn load_balancers_need_no_key() {
    let server = Server::that_remembers(30.0).await;
    for path in ["/api/health", "/api/ready"] {
        assert_eq!(server.ask("GET", path, None).await.status(), StatusCode::OK);
        assert_eq!(server.ask("POST", path, None).await.status(), StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn each_role_may_what_the_table_of_operations_says() {
    let server = Server::that_remembers(30.0).await;
    let id = "01980000-0000-7000-8000-000000000001";
    for role in Role::ALL {
        let key = format!("Bearer {}", server.key(role).await);
        for route in registry::routes() {
            let required = operations::required(route.method.as_str(), route.path);
            let parameters = route.path.split('/').map(|part| if part.starts_with('{') { id } else { part });
            let path = format!("{PREFIX}{}", parameters.collect::<Vec<_>>().join("/"));
            let status = server.ask(route.method.as_str(), &path, Some(&key)).await.status();
            assert_ne!(status, StatusCode::UNAUTHORIZED, "{}", route.operation);
            let is_refused = status == StatusCode::FORBIDDEN;
            assert_eq!(is_refused, required.is_some_and(|required| required > role), "{role}: {}", route.operation);
        }
    }
}

#[tokio::test]
async fn authentication_reads_once_and_then_remembers() {
    let server = Server::that_remembers(30.0).await;
    let key = format!("Bearer {}", server.key(Role::ReadOnly).await);
    for expected in ["1", "0", "0"] {
        let answer = server.ask("GET", "/api/hello", Some(&key)).await;
        assert_eq!(answer.headers()["x-proctor-round-trips"], expected);
    }
}

#[tokio::test]
async fn a_key_that_is_over_is_refused() {
    let server = Server::that_remembers(0.0).await;
    for role in [Role::Worker, Role::Admin] {
        let key = server.key(role).await;
        let header = format!("Bearer {key}");
        assert_eq!(server.status(&header).await, StatusCode::OK);
        let id = key::id(&key).unwrap();
        let (action, status) = match role {
            Role::Worker => (Action::Revoke { id }, "revoked"),
            _ => (Action::Expire { id, remaining: "0s".parse().unwrap() }, "expired"),
        };
        assert!(server.manage(action).await.contains(status));
        assert_eq!(server.status(&header).await, StatusCode::UNAUTHORIZED);
    }
    let expires_in = Some("0s".parse().unwrap());
    let stillborn = server.manage(Action::Create { role: Role::Admin, name: "old".into(), expires_in }).await;
    assert_eq!(server.status(&format!("Bearer {stillborn}")).await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn keys_are_listed_without_their_secrets() {
    let server = Server::that_remembers(30.0).await;
    let (reader, worker) = (server.key(Role::ReadOnly).await, server.key(Role::Worker).await);
    server.manage(Action::Revoke { id: key::id(&reader).unwrap() }).await;
    let list = server.manage(Action::List).await;
    let lines: Vec<&str> = list.lines().collect();
    assert_eq!(lines.len(), 3, "{list}");
    for (line, key, words) in [(lines[1], &reader, ["read-only", "revoked"]), (lines[2], &worker, ["worker", "active"])]
    {
        assert!(line.starts_with(&key::shown(key::id(key).unwrap())), "{list}");
        assert!(words.iter().all(|word| line.contains(word)), "{list}");
        assert!(!list.contains(key), "{list}");
    }
    let unknown = Action::Revoke { id: common::model::ApiKeyId::new() };
    let error = keys::carry_out(&server.app.store, unknown).await.err().unwrap();
    assert!(error.to_string().contains("there is no key proctor_"), "{error}");
}

#[tokio::test]
async fn a_store_that_fails_lets_nobody_in_and_asks_to_come_back() {
    let faults = Faults::on("GetItem");
    let server = Server::with(Settings { access: Mode::Keys, ..Settings::default() }, &faults).await;
    let key = format!("Bearer {}", server.key(Role::Admin).await);
    // As many as the SDK tries.
    for _ in 0..3 {
        faults.then(Fault::InternalError);
    }
    assert_eq!(server.status(&key).await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(server.status(&key).await, StatusCode::OK);
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Has an administrator make a key over HTTP; returns the key's secret.
async fn made_over_http(server: &Server) -> String {
    let header = format!("Bearer {}", server.key(Role::Admin).await);
    let request = Request::post("/api/api_keys").header(AUTHORIZATION, header).header(CONTENT_TYPE, "application/json");
    let request = request.body(Body::from(r#"{"name": "made", "role": "worker"}"#)).unwrap();
    let answer = server.service.clone().oneshot(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::CREATED);
    let made: serde_json::Value = serde_json::from_slice(&to_bytes(answer.into_body(), 9_000).await.unwrap()).unwrap();
    made["key"].as_str().unwrap().rsplit('_').next().unwrap().to_owned()
}

#[tokio::test]
async fn no_secret_is_logged() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(common::logging::filter("trace"))
        .with_writer(move || writer.clone())
        .finish();
    let _logging = tracing::subscriber::set_default(subscriber);
    // With a single one, tracing asks whichever thread comes to an event first, and other tests listen to none.
    let _another = tracing::Dispatch::new(tracing_subscriber::registry());

    let mut secrets = Vec::new();
    let password = Settings { access: Mode::Basic(Password::Given(Secret("ad:hush".into()))), ..Settings::default() };
    for settings in [Settings { access: Mode::Keys, ..Settings::default() }, password] {
        let server = Server::with(settings, &Faults::default()).await;
        let key = server.key(Role::ReadOnly).await;
        let wrong = key::mint(key::id(&key).unwrap()).unwrap();
        for secret in [key.as_str(), &wrong, "ad:hush"] {
            for header in [format!("Bearer {secret}"), basic(secret)] {
                let _ = server.ask("GET", "/api/hello", Some(&header)).await;
                let _ = server.ask("DELETE", "/api/flows/01980000-0000-7000-8000-000000000001", Some(&header)).await;
                secrets.push(header.split(' ').next_back().unwrap().to_owned());
            }
            secrets.push(secret.rsplit(['_', ':']).next().unwrap().to_owned());
        }
        if server.app.settings.access == Mode::Keys {
            secrets.push(made_over_http(&server).await);
        }
    }
    let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(logged.contains("request") && logged.contains("status=403"), "the log was not captured");
    for secret in secrets {
        assert!(!logged.contains(&secret), "the log has {secret}");
    }
}
