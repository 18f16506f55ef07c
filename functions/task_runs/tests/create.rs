//! The creation of task runs: one run at each place of a flow run, whatever happens on the way.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use axum::{
    Router,
    body::{Body, to_bytes},
    http::Request,
};
use common::{
    App, Settings, Store,
    filter::TaskRunSort,
    http::service,
    store::{Shards, select::Window},
};
use embedded::{
    EmbeddedDatabase,
    faults::{Fault, Faults},
};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tower::ServiceExt;

async fn app(faults: &Faults) -> App {
    let database = EmbeddedDatabase::in_memory().unwrap();
    let config = EmbeddedDatabase::config_with(faults.before(database.http_client()));
    let store = Store::new(aws_sdk_dynamodb::Client::from_conf(config), "proctor-records", Shards(2));
    store.create_table().await.unwrap();
    App::new(store, Settings::default())
}

fn router(app: &App) -> Router {
    service(app.clone(), task_runs::ROUTES.iter().copied())
}

async fn create(app: Router, body: Value) -> (u16, Value) {
    let request = Request::post("/api/task_runs/").header("content-type", "application/json");
    let answer = app.oneshot(request.body(Body::from(body.to_string())).unwrap()).await.unwrap();
    let status = answer.status().as_u16();
    let body = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap())
}

async fn stored(app: &App) -> usize {
    let everything = Window { offset: 0, limit: 200 };
    let filters = serde_json::from_value(json!({})).unwrap();
    app.store.task_runs(&filters, TaskRunSort::IdDesc, everything).await.unwrap().len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_at_once_make_one_run() {
    let app = app(&Faults::default()).await;
    let mut clients = JoinSet::new();
    for client in 0..16 {
        let body = json!({"task_key": "task", "dynamic_key": "0", "name": format!("by client {client}")});
        clients.spawn(create(router(&app), body));
    }
    let responses = clients.join_all().await;
    let created = responses.iter().filter(|(status, _)| *status == 201).count();
    let found = responses.iter().filter(|(status, _)| *status == 200).count();
    assert_eq!((created, found, stored(&app).await), (1, 15, 1));
    let first = responses.first().map(|(_, run)| &run["id"]);
    assert!(responses.iter().all(|(_, run)| Some(&run["id"]) == first));
}

#[tokio::test]
async fn a_lost_answer_makes_no_second_run() {
    for fault in [Fault::AnswerLost, Fault::Forgotten] {
        let faults = Faults::on("TransactWriteItems");
        let app = app(&faults).await;
        faults.then(fault).go_on();
        let (status, run) = create(router(&app), json!({"task_key": "task", "dynamic_key": "0"})).await;
        assert_eq!((status, stored(&app).await), (201, 1), "{fault:?}");
        assert_eq!(run["state_type"], "PENDING");
    }
}

#[tokio::test]
async fn an_id_that_is_taken_is_a_conflict() {
    let app = app(&Faults::default()).await;
    let id = uuid::Uuid::new_v4();
    let body = |dynamic_key| json!({"task_key": "task", "dynamic_key": dynamic_key, "id": id});
    assert_eq!(create(router(&app), body("0")).await.0, 201);
    assert_eq!(create(router(&app), body("0")).await.0, 200);
    assert_eq!(create(router(&app), body("1")).await.0, 409);
    assert_eq!(stored(&app).await, 1);
}

#[tokio::test]
async fn a_run_of_no_flow_run_is_refused_whole_and_a_large_one_is_kept_whole() {
    let app = app(&Faults::default()).await;
    let orphan = json!({"task_key": "task", "dynamic_key": "0", "flow_run_id": uuid::Uuid::new_v4()});
    assert_eq!(create(router(&app), orphan).await.0, 409);
    assert_eq!(stored(&app).await, 0);
    let version = "x".repeat(450_000);
    let large = json!({"task_key": "task", "dynamic_key": "0", "task_version": version});
    let (status, run) = create(router(&app), large).await;
    assert_eq!((status, &run["task_version"]), (201, &json!(version)), "the key is free");
    let id = serde_json::from_value(run["id"].clone()).unwrap();
    assert_eq!(app.store.task_run(id).await.unwrap().unwrap().record.task_version.as_deref(), Some(version.as_str()));
}
