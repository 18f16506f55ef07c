//! What the cloud's function for whatever has no route answers is what the local server answers, without a handler.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use aws_sdk_dynamodb::Client;
use axum::{
    Router,
    body::{Body, to_bytes},
    http::{
        Request, StatusCode,
        header::{ALLOW, LOCATION, RETRY_AFTER},
    },
};
use common::{
    App, Settings, Store,
    domain::access::Mode,
    http::{self, PREFIX, ui},
};
use embedded::EmbeddedDatabase;
use tower::ServiceExt;

const METHODS: [&str; 7] = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"];

/// A server of every route, and the fallback, which stands beside the functions of the routes.
struct Both {
    server: Router,
    fallback: Router,
}

/// What is told of an answer.
#[derive(Debug, PartialEq)]
struct Answer {
    status: StatusCode,
    allow: Option<String>,
    location: Option<String>,
    body: String,
}

impl Both {
    async fn with(settings: Settings) -> Self {
        let database = EmbeddedDatabase::in_memory().unwrap();
        let store = Store::new(Client::from_conf(database.sdk_config()), &settings.table, settings.shards);
        store.create_table().await.unwrap();
        let app = App::new(store, settings);
        let pages = || ui::pages(&app);
        let server = http::server(app.clone(), registry::routes(), Router::new(), Some(pages()));
        Self { server, fallback: http::fallback(app.clone(), pages()) }
    }

    /// Checks that both give one answer, and returns it.
    async fn agree(&self, method: &str, path: &str) -> Answer {
        let expected = ask(&self.server, method, path).await;
        assert_eq!(ask(&self.fallback, method, path).await, expected, "{method} {path}");
        expected
    }
}

async fn ask(service: &Router, method: &str, path: &str) -> Answer {
    let request = Request::builder().method(method).uri(path).header("host", "host").body(Body::empty()).unwrap();
    let response = service.clone().oneshot(request).await.unwrap();
    let text = |name| response.headers().get(name).map(|value| String::from(value.to_str().unwrap()));
    let (status, allow, location) = (response.status(), text(ALLOW), text(LOCATION));
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    Answer { status, allow, location, body: String::from_utf8_lossy(&body).into_owned() }
}

/// Returns every path that has routes, with `value` for each parameter.
fn paths(value: &str) -> BTreeSet<String> {
    let filled = |path: &str| {
        let segments = path.split('/').map(|part| if part.starts_with('{') { value } else { part });
        segments.collect::<Vec<_>>().join("/")
    };
    registry::routes().iter().map(|route| format!("{PREFIX}{}", filled(route.path))).collect()
}

#[tokio::test]
async fn what_no_route_takes_is_answered_as_by_the_whole_server() {
    let both = Both::with(Settings::default()).await;
    let (mut refused, mut redirected) = (0, 0);
    for value in ["01980000-0000-7000-8000-000000000001", "a", "%C3%BC", "filter"] {
        for path in &paths(value) {
            let other = path.strip_suffix('/').map_or_else(|| format!("{path}/"), str::to_owned);
            for method in METHODS {
                // What a route takes is not asked of the fallback.
                if !is_routed(method, path) {
                    refused += usize::from(both.agree(method, path).await.status == StatusCode::METHOD_NOT_ALLOWED);
                }
                if !is_routed(method, &other) {
                    redirected += usize::from(both.agree(method, &other).await.location.is_some());
                }
            }
        }
    }
    assert!(refused > 1_000 && redirected > 1_000, "{refused} {redirected}");
}

/// Tells whether API Gateway leads the request to a function of its own.
fn is_routed(method: &str, path: &str) -> bool {
    registry::routes().iter().any(|route| {
        let template = format!("{PREFIX}{}", route.path);
        let (wanted, given): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
        let fits = |(wanted, given): (&&str, &&str)| wanted == given || wanted.starts_with('{') && !given.is_empty();
        route.method.as_str() == method && wanted.len() == given.len() && wanted.iter().zip(&given).all(fits)
    })
}

#[tokio::test]
async fn documents_and_pages_are_those_of_the_whole_server() {
    let both = Both::with(Settings::default()).await;
    for path in ["/openapi.json", "/api/openapi.json", "/docs", "/api/docs", "/redoc", "/api/redoc", "/ui-settings"] {
        for method in METHODS {
            let answer = both.agree(method, path).await;
            assert_eq!(answer.status.is_success(), ["GET", "HEAD"].contains(&method), "{method} {path}: {answer:?}");
        }
        both.agree("GET", &format!("{path}/")).await;
    }
    for path in ["/", "/api", "/api/", "/nothing", "/api/nothing", "/api/flows/a/b/c", "/api//flows"] {
        for method in METHODS {
            both.agree(method, path).await;
        }
    }
}

#[tokio::test]
async fn nobody_is_told_of_a_route_without_a_key() {
    let both = Both::with(Settings { access: Mode::Keys, ..Settings::default() }).await;
    for path in ["/api/flows/", "/api/flows", "/api/nothing", "/api/docs"] {
        assert_eq!(both.agree("PUT", path).await.status, StatusCode::UNAUTHORIZED, "{path}");
    }
}

#[tokio::test]
async fn an_operation_is_not_carried_out_and_may_be_repeated() {
    let Both { fallback, .. } = Both::with(Settings::default()).await;
    let lost = Request::post("/api/flows/").body(Body::from(r#"{"name": "a"}"#)).unwrap();
    let response = fallback.clone().oneshot(lost).await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(response.headers().contains_key(RETRY_AFTER));
}
