//! Saving and deleting searches: what no client sees of it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use axum::{
    Router,
    body::{Body, to_bytes},
    http::Request,
};
use common::{
    App, Settings, Store,
    http::service,
    model::SavedSearch,
    store::{Shards, Versioned, saved_searches::called, table},
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
    service(app.clone(), saved_searches::ROUTES.iter().copied())
}

async fn save(app: Router, value: Value) -> (u16, Value) {
    let condition = json!({"object": "o", "property": "p", "type": "t", "operation": "=", "value": value});
    let body = json!({"name": "search", "filters": [condition]});
    let request = Request::put("/api/saved_searches/").header("content-type", "application/json");
    let answer = app.oneshot(request.body(Body::from(body.to_string())).unwrap()).await.unwrap();
    let status = answer.status().as_u16();
    let body = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap())
}

async fn saved(app: &App) -> Versioned<SavedSearch> {
    app.store.read_one(called("search")).await.unwrap()
}

#[tokio::test]
async fn what_is_saved_again_as_it_was_is_not_written() {
    let app = app(&Faults::default()).await;
    let (status, made) = save(router(&app), json!(1)).await;
    assert_eq!((status, saved(&app).await.version), (201, 1));
    assert_eq!((save(router(&app), json!(1)).await, saved(&app).await.version), ((200, made), 1));
    assert_eq!((save(router(&app), json!(2)).await.0, saved(&app).await.version), (200, 2));
}

#[tokio::test]
async fn a_lost_answer_makes_one_search_and_says_so() {
    for fault in [Fault::AnswerLost, Fault::Forgotten] {
        let faults = Faults::on("TransactWriteItems");
        let app = app(&faults).await;
        faults.then(fault).go_on();
        let (status, made) = save(router(&app), json!(1)).await;
        assert_eq!((status, &made["id"]), (201, &json!(saved(&app).await.record.id)), "{fault:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_at_once_make_one_search_that_holds_what_one_of_them_sent() {
    let app = app(&Faults::default()).await;
    let mut clients = JoinSet::new();
    for client in 0..16 {
        clients.spawn(save(router(&app), json!(client)));
    }
    let responses = clients.join_all().await;
    assert_eq!(responses.iter().filter(|(status, _)| *status == 201).count(), 1);
    assert_eq!(responses.iter().filter(|(status, _)| *status == 200).count(), 15);
    let Versioned { record, version } = saved(&app).await;
    assert!(responses.iter().all(|(_, search)| search["id"] == json!(record.id)));
    assert!(responses.iter().any(|(_, search)| search["filters"] == json!(record.filters)));
    assert_eq!(version, 16);
}

#[tokio::test]
async fn a_deletion_frees_the_name_and_leaves_nothing_to_be_told_of() {
    let app = app(&Faults::default()).await;
    save(router(&app), json!(1)).await;
    let search = saved(&app).await.record;
    app.store.delete::<SavedSearch>(search.id).await.unwrap();
    let tombstone = table::saved_search(search.id).tombstone();
    assert!(app.store.get_item(&tombstone).await.unwrap().is_none());
    let (status, anew) = save(router(&app), json!(1)).await;
    assert_eq!(status, 201);
    assert_ne!(anew["id"], json!(search.id));
}
