//! Requests whose writes a client decides the number of: each is carried out or refused with its bound, and none half.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Method, Request, StatusCode},
};
use common::{App, Settings, Store};
use embedded::EmbeddedDatabase;
use serde_json::{Value, json};
use tower::ServiceExt;

/// More than a transaction holds.
const MANY: usize = 130;

async fn app() -> Router {
    let settings = Settings { shards: 1, ..Settings::default() };
    let client = aws_sdk_dynamodb::Client::from_conf(EmbeddedDatabase::in_memory().unwrap().sdk_config());
    let store = Store::new(client, &settings.table, settings.shards);
    store.create_table().await.unwrap();
    proctor::app(App::new(store, settings))
}

async fn call(app: &Router, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
    let request = Request::builder().method(method).uri(format!("/api{path}"));
    let request = request.header("content-type", "application/json").body(Body::from(body.to_string())).unwrap();
    let response = app.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let answer = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, serde_json::from_slice(&answer).unwrap_or_default())
}

async fn post(app: &Router, path: &str, body: Value) -> (StatusCode, Value) {
    call(app, Method::POST, path, body).await
}

#[tokio::test]
async fn slots_of_very_many_limits_are_refused_together_and_none_is_taken() {
    let app = app().await;
    let names: Vec<String> = (0..MANY).map(|place| format!("tag:t{place}")).collect();
    for name in &names {
        assert_eq!(
            post(&app, "/v2/concurrency_limits/", json!({"name": name, "limit": 2})).await.0,
            StatusCode::CREATED
        );
    }
    // A lease on slots of tags is listed in each of their limits, which is one more write.
    for (path, most) in [("increment", 90), ("increment-with-lease", 45), ("decrement", 90)] {
        let asked = json!({"names": names, "slots": 1});
        let (status, answer) = post(&app, &format!("/v2/concurrency_limits/{path}"), asked).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{path}: {answer}");
        assert!(answer["detail"].as_str().unwrap().contains(&format!("at most {most}")), "{answer}");
        // As many as the bound says are taken, and names without a limit do not count.
        let mut some = names[..most].to_vec();
        some.extend((0..MANY).map(|place| format!("no limit {place}")));
        let (status, answer) =
            post(&app, &format!("/v2/concurrency_limits/{path}"), json!({"names": some, "slots": 1})).await;
        assert_eq!(status, StatusCode::OK, "{path}: {answer}");
    }
    let (_, limits) = post(&app, "/v2/concurrency_limits/filter", json!({"limit": 200})).await;
    let taken = limits.as_array().unwrap().iter().map(|limit| limit["active_slots"].as_i64().unwrap()).sum::<i64>();
    assert_eq!(taken, 45, "of two increments and a decrement");

    let tags: Vec<String> = (0..MANY).map(|place| format!("t{place}")).collect();
    let (_, run) = post(&app, "/task_runs/", json!({"task_key": "t", "dynamic_key": "d", "tags": tags})).await;
    let path = format!("/task_runs/{}/set_state", run["id"].as_str().unwrap());
    let (status, answer) = post(&app, &path, json!({"state": {"type": "RUNNING"}})).await;
    assert_eq!((status, &answer["status"]), (StatusCode::OK, &json!("ABORT")), "{answer}");
    assert!(answer["details"]["reason"].as_str().unwrap().contains("at most 45"), "{answer}");
}

#[tokio::test]
async fn a_task_run_with_very_many_subflow_runs_is_deleted_and_they_lose_their_parent() {
    let app = app().await;
    let (_, flow) = post(&app, "/flows/", json!({"name": "f"})).await;
    let (_, task_run) = post(&app, "/task_runs/", json!({"task_key": "t", "dynamic_key": "d"})).await;
    for _ in 0..MANY {
        let run = json!({"flow_id": flow["id"], "parent_task_run_id": task_run["id"]});
        assert_eq!(post(&app, "/flow_runs/", run).await.0, StatusCode::CREATED);
    }
    let path = format!("/task_runs/{}", task_run["id"].as_str().unwrap());
    let deletion = call(&app, Method::DELETE, &path, json!({}));
    let (status, _) = tokio::time::timeout(std::time::Duration::from_secs(30), deletion).await.expect("it ends");
    assert_eq!(status, StatusCode::NO_CONTENT);
    let (_, runs) = post(&app, "/flow_runs/filter", json!({"limit": 200})).await;
    assert_eq!(runs.as_array().unwrap().len(), MANY);
    assert!(runs.as_array().unwrap().iter().all(|run| run["parent_task_run_id"].is_null()));
}

#[tokio::test]
async fn very_many_queues_are_refused_and_the_pool_can_be_deleted() {
    let app = app().await;
    post(&app, "/work_pools/", json!({"name": "pool", "type": "process"})).await;
    let mut refused = 0;
    for place in 0..MANY {
        let (status, answer) = post(&app, "/work_pools/pool/queues", json!({"name": format!("q{place}")})).await;
        refused += usize::from(status == StatusCode::UNPROCESSABLE_ENTITY);
        assert!(status == StatusCode::CREATED || answer["detail"].as_str().unwrap().contains("at most 90"), "{answer}");
    }
    assert_eq!(refused, MANY - 89, "with the default queue, ninety are there");
    let first = json!({"priority": 1});
    assert_eq!(call(&app, Method::PATCH, "/work_pools/pool/queues/q50", first).await.0, StatusCode::NO_CONTENT);
    assert_eq!(call(&app, Method::DELETE, "/work_pools/pool", json!({})).await.0, StatusCode::NO_CONTENT);
}
