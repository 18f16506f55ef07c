//! The line that each request leaves in the log.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    io,
    sync::{Arc, Mutex},
};

use aws_sdk_dynamodb::Client;
use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Request, header::CONTENT_TYPE},
};
use common::{App, Settings, Store};
use embedded::EmbeddedDatabase;
use lambda_http::{Context, RequestExt};
use serde_json::{Value, json};
use tower::ServiceExt;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Returns the last line.
    fn last(&self) -> Value {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        serde_json::from_str(text.lines().last().unwrap()).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

async fn ask(app: &Router, method: &str, path: &str, body: &Value) -> Value {
    let mut context = Context::default();
    context.request_id = "lambda's id".into();
    let request = Request::builder().method(method).uri(path).header(CONTENT_TYPE, "application/json");
    let request = request.body(Body::from(body.to_string())).unwrap().with_lambda_context(context);
    let answer = app.clone().oneshot(request).await.unwrap();
    serde_json::from_slice(&to_bytes(answer.into_body(), 1_000_000).await.unwrap()).unwrap()
}

#[tokio::test]
async fn a_line_tells_what_was_decided_about_which_run_and_what_it_cost() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_env_filter(common::logging::filter("info"))
        .with_writer(move || writer.clone());
    let _logging = tracing::subscriber::set_default(subscriber.finish());
    let database = EmbeddedDatabase::in_memory().unwrap();
    let settings = Settings::default();
    let store = Store::new(Client::from_conf(database.sdk_config()), &settings.table, settings.shards);
    store.create_table().await.unwrap();
    let app = App::new(store, settings);
    let sole = common::http::service(app.clone(), [&flow_runs::read::ROUTE]);
    let app = proctor::app(app);

    let flow = ask(&app, "POST", "/api/flows/", &json!({"name": "flow"})).await;
    let run = ask(&app, "POST", "/api/flow_runs/", &json!({"flow_id": flow["id"]})).await;
    let line = log.last();
    assert_eq!((&line["operation"], &line["run_id"]), (&json!("create_flow_run"), &run["id"]), "{line}");

    let path = format!("/api/flow_runs/{}/set_state", run["id"].as_str().unwrap());
    for (state, verdict) in [("RUNNING", "ACCEPT"), ("PENDING", "ABORT")] {
        ask(&app, "POST", &path, &json!({"state": {"type": state}})).await;
        let line = log.last();
        let told =
            ["request_id", "operation", "run_id", "method", "path", "outcome", "verdict"].map(|name| &line[name]);
        let expected =
            ["lambda's id", "set_flow_run_state", run["id"].as_str().unwrap(), "POST", &path, "done", verdict];
        assert_eq!(told, expected.map(Value::from).each_ref(), "{line}");
        assert!(
            line["rules"].as_str().unwrap().contains("PreventPendingTransitions.") == (state == "PENDING"),
            "{line}"
        );
        assert!(line["milliseconds"].as_f64().unwrap() > 0.0 && line["store.round_trips"].as_u64().unwrap() > 0);
        assert_eq!((&line["store.conflicts"], &line["store.retries"]), (&json!(0), &json!(0)));
    }

    // A function knows which operation it is, whatever it is asked.
    ask(&sole, "GET", "/api/nowhere", &json!({})).await;
    assert_eq!(log.last()["operation"], "read_flow_run");

    ask(&app, "GET", "/api/flow_runs/none", &json!({})).await;
    let line = log.last();
    assert_eq!((&line["outcome"], &line["status"]), (&json!("refused"), &json!(404)), "{line}");
}
