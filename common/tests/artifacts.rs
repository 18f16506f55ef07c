//! Artifacts and the latest of a key against the embedded database: on bad days, and all at once.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use common::{
    Store,
    filter::ArtifactSort,
    model::{Artifact, ArtifactId, FlowRunId, Timestamp},
    store::{Shards, artifact_query::ArtifactFilters, select::Window},
};
use embedded::{
    EmbeddedDatabase,
    faults::{Fault, Faults},
};
use serde_json::json;
use tokio::task::JoinSet;
use uuid::Uuid;

const KEY: &str = "report";

/// A store on a database of its own, and one that meets faults on the same database.
async fn stores() -> (Store, Store, Faults) {
    let (database, faults) = (EmbeddedDatabase::in_memory().unwrap(), Faults::on("TransactWriteItems"));
    let store = |client| {
        let client = aws_sdk_dynamodb::Client::from_conf(EmbeddedDatabase::config_with(client));
        Store::new(client, "proctor-records", Shards(2))
    };
    let bad_day = store(faults.before(database.http_client()));
    let store = store(database.http_client());
    store.create_table().await.unwrap();
    (store, bad_day, faults)
}

fn artifact(run: Option<FlowRunId>) -> Artifact {
    let now = Timestamp::now();
    let id = ArtifactId::at(now, Uuid::new_v4());
    Artifact { key: Some(KEY.into()), data: Some(json!(id)), flow_run_id: run, ..Artifact::new(id, now) }
}

async fn all(store: &Store) -> Vec<Artifact> {
    let window = Window { offset: 0, limit: 200 };
    store.artifacts(&ArtifactFilters::default(), ArtifactSort::CreatedDesc, window).await.unwrap()
}

#[tokio::test]
async fn of_32_clients_with_one_key_one_has_the_latest() {
    let (store, ..) = stores().await;
    let mut clients = JoinSet::new();
    for _ in 0..32 {
        let store = store.clone();
        clients.spawn(async move { store.add_artifact(&artifact(None)).await.unwrap() });
    }
    clients.join_all().await;
    let made = all(&store).await;
    let latest = store.latest_artifact(KEY).await.unwrap().unwrap();
    assert_eq!(made.len(), 32);
    assert!(made.iter().any(|artifact| artifact.id == latest.latest_id));
    assert_eq!(store.count_latest_artifacts(&ArtifactFilters::default()).await.unwrap(), 1);
}

#[tokio::test]
async fn the_latest_is_there_however_many_delete_at_once() {
    let (store, ..) = stores().await;
    let mut made: Vec<Artifact> = (0..24).map(|_| artifact(None)).collect();
    // Two may be made in one microsecond.
    made.sort_by_key(|artifact| (artifact.created, artifact.id));
    for artifact in &made {
        store.add_artifact(artifact).await.unwrap();
    }
    let mut clients = JoinSet::new();
    for artifact in made.iter().skip(4).cloned() {
        let store = store.clone();
        clients.spawn(async move { store.delete_artifact(artifact.id, Timestamp::now()).await.unwrap() });
    }
    assert!(clients.join_all().await.into_iter().all(|deleted| deleted));
    assert_eq!(store.latest_artifact(KEY).await.unwrap().unwrap().latest_id, made[3].id);
    for artifact in made.iter().take(4) {
        assert!(store.delete_artifact(artifact.id, Timestamp::now()).await.unwrap());
    }
    assert!(store.latest_artifact(KEY).await.unwrap().is_none());
}

#[tokio::test]
async fn a_bad_day_neither_doubles_nor_loses_an_artifact() {
    let (store, bad_day, faults) = stores().await;
    for fault in [Fault::AnswerLost, Fault::TransactionConflict, Fault::Throttled, Fault::InternalError] {
        faults.then(fault);
        let made = artifact(None);
        bad_day.add_artifact(&made).await.unwrap();
        assert_eq!(store.latest_artifact(KEY).await.unwrap().unwrap().latest_id, made.id, "{fault:?}");
        faults.then(fault);
        assert!(bad_day.delete_artifact(made.id, Timestamp::now()).await.is_ok());
        assert!(store.latest_artifact(KEY).await.unwrap().is_none(), "{fault:?}");
    }
    assert!(all(&store).await.is_empty());
}
