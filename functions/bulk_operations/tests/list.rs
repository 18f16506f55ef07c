//! The list of operations on many flow runs: its order, its pages, and what it costs.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, Request},
};
use common::{
    App, Settings, Store,
    filter::RunFilters,
    http::service,
    jobs::bulk,
    model::{BulkAction, BulkOperationId},
    store::Shards,
};
use embedded::EmbeddedDatabase;
use serde_json::{Value, json};
use tower::ServiceExt;

async fn app() -> App {
    let config = EmbeddedDatabase::in_memory().unwrap().sdk_config();
    let store = Store::new(aws_sdk_dynamodb::Client::from_conf(config), "proctor-records", Shards(4)).guarded();
    store.create_table().await.unwrap();
    App::new(store, Settings::default())
}

fn router(app: &App) -> Router {
    service(app.clone(), bulk_operations::ROUTES.iter().copied())
}

async fn ask(app: &App, method: &str, path: &str) -> (u16, HeaderMap, Value) {
    let request = Request::builder().method(method).uri(format!("/api{path}")).header("x-proctor-explain", "1");
    let answer = router(app).oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let body = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
    (status, headers, serde_json::from_slice(&body).unwrap_or_default())
}

/// Begins an operation on all flow runs, of which there are none.
async fn begin(app: &App) -> BulkOperationId {
    bulk::begin(app, RunFilters::default(), BulkAction::DeleteFlowRuns).await.unwrap().id()
}

fn ids(listed: &Value) -> Vec<BulkOperationId> {
    listed.as_array().unwrap().iter().map(|operation| operation["id"].as_str().unwrap().parse().unwrap()).collect()
}

#[tokio::test]
async fn operations_are_listed_with_their_progress_the_last_begun_first() {
    let app = app().await;
    assert_eq!(ask(&app, "GET", "/operations").await.2, json!([]));
    let mut begun = Vec::new();
    for _ in 0..3 {
        begun.insert(0, begin(&app).await);
    }
    let (_, _, listed) = ask(&app, "GET", "/operations").await;
    assert_eq!(ids(&listed), begun);
    for (operation, id) in listed.as_array().unwrap().iter().zip(&begun) {
        assert_eq!(*operation, ask(&app, "GET", &format!("/operations/{id}")).await.2);
    }
    assert_eq!((&listed[0]["status"], &listed[0]["finished_parts"]), (&json!("RUNNING"), &json!(0)));
    for number in 0..listed[0]["parts"].as_u64().unwrap() {
        bulk::step(&app, begun[0], number.try_into().unwrap(), 0).await.unwrap();
    }
    let (_, _, listed) = ask(&app, "GET", "/operations?limit=1").await;
    assert_eq!((&listed[0]["status"], &listed[0]["finished_parts"]), (&json!("COMPLETED"), &listed[0]["parts"]));
}

#[tokio::test]
async fn a_page_is_bounded_and_costs_three_round_trips() {
    let app = app().await;
    let mut begun = Vec::new();
    for _ in 0..5 {
        begun.insert(0, begin(&app).await);
    }
    let (_, headers, listed) = ask(&app, "GET", "/operations?offset=1&limit=2").await;
    assert_eq!(ids(&listed), begun[1..3]);
    // The query, the operations, their parts.
    assert_eq!(headers["x-proctor-round-trips"], "3", "{:?}", headers["x-proctor-plan"]);
    assert_eq!(ask(&app, "GET", "/operations?limit=51").await.0, 422);
}

#[tokio::test]
async fn an_operation_that_was_asked_to_stop_says_so_before_it_has() {
    let app = app().await;
    let id = begin(&app).await;
    assert_eq!(ask(&app, "DELETE", &format!("/operations/{id}")).await.0, 204);
    let (_, _, listed) = ask(&app, "GET", "/operations").await;
    assert_eq!(listed[0]["status"], "RUNNING");
    assert!(listed[0]["stopped"].is_string(), "{listed}");
}
