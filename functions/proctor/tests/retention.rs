//! Flow runs that are kept for some time after their end.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Request, StatusCode},
};
use common::{App, Settings, Store, settings::Variables};
use embedded::EmbeddedDatabase;
use serde_json::{Value, json};
use tower::ServiceExt;

async fn post(app: &Router, path: &str, body: &Value) -> (StatusCode, Value) {
    let request = Request::post(format!("/api{path}")).header("content-type", "application/json");
    let response = app.clone().oneshot(request.body(Body::from(body.to_string())).unwrap()).await.unwrap();
    let status = response.status();
    (status, serde_json::from_slice(&to_bytes(response.into_body(), usize::MAX).await.unwrap()).unwrap())
}

async fn status_of(app: &Router, run: &Value) -> StatusCode {
    let path = format!("/api/flow_runs/{}", run["id"].as_str().unwrap());
    app.clone().oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap().status()
}

#[tokio::test]
async fn an_ended_run_is_deleted_and_its_idempotency_key_can_be_used_again() {
    let database = EmbeddedDatabase::in_memory().unwrap();
    // As long ago as ended runs are kept, so that each has expired at its end.
    let settings = Settings { run_retention: Some(-3_600.0), ..Settings::default() };
    let client = aws_sdk_dynamodb::Client::from_conf(database.sdk_config());
    let store = Store::new(client, &settings.table, settings.shards);
    store.create_table().await.unwrap();
    let app = proctor::app(App::new(store, settings));
    let (_, flow) = post(&app, "/flows/", &json!({"name": "kept"})).await;
    let run = json!({"flow_id": flow["id"], "idempotency_key": "once"});
    let (_, ended) = post(&app, "/flow_runs/", &run).await;
    let (_, going_on) = post(&app, "/flow_runs/", &json!({"flow_id": flow["id"]})).await;
    for (run, r#type) in [(&ended, "COMPLETED"), (&going_on, "RUNNING")] {
        let path = format!("/flow_runs/{}/set_state", run["id"].as_str().unwrap());
        assert_eq!(post(&app, &path, &json!({"state": {"type": r#type}})).await.0, StatusCode::CREATED);
    }
    database.sweep_expired().await.unwrap();
    assert_eq!(status_of(&app, &ended).await, StatusCode::NOT_FOUND);
    assert_eq!(status_of(&app, &going_on).await, StatusCode::OK);
    let (status, again) = post(&app, "/flow_runs/", &run).await;
    assert_eq!(status, StatusCode::CREATED);
    let (status, found) = post(&app, "/flow_runs/", &run).await;
    assert_eq!((status, &found["id"]), (StatusCode::OK, &again["id"]));
}

#[test]
fn ended_runs_are_deleted_where_upstream_is_told_to() {
    let retention = |variables: &[(&str, &str)]| {
        let prefix = "PREFECT_SERVER_SERVICES_DB_VACUUM_";
        let mut read = Variables::default();
        for (name, value) in variables {
            read.set(&format!("{prefix}{name}"), value);
        }
        Settings::from(read).unwrap().run_retention
    };
    assert_eq!(retention(&[]), None);
    assert_eq!(retention(&[("ENABLED", "events"), ("RETENTION_PERIOD", "7200")]), None);
    assert_eq!(retention(&[("ENABLED", "events,flow_runs"), ("RETENTION_PERIOD", "7200")]), Some(7_200.0));
    assert_eq!(retention(&[("ENABLED", "true"), ("RETENTION_PERIOD", "P2D")]), Some(172_800.0));
    assert_eq!(retention(&[("ENABLED", "flow_runs")]), Some(7_776_000.0));
}
