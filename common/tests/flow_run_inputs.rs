//! Flow run inputs against the embedded database.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use common::{
    Error, Store,
    filter::FlowRunInputFilter,
    model::{FlowId, FlowRun, FlowRunId, FlowRunInput, FlowRunInputId, Timestamp, concurrency_limit::LongestWaits},
    store::{Shards, backend::LARGEST_RECORD},
};
use embedded::{
    EmbeddedDatabase,
    faults::{Fault, Faults},
};

async fn store(faults: &Faults) -> Store {
    let database = EmbeddedDatabase::in_memory().unwrap();
    let config = EmbeddedDatabase::config_with(faults.before(database.http_client()));
    let store = Store::new(aws_sdk_dynamodb::Client::from_conf(config), "proctor-records", Shards(2));
    store.create_table().await.unwrap();
    store
}

async fn flow_run(store: &Store) -> FlowRunId {
    let run = FlowRun::new(FlowRunId::new(), FlowId::new(), "run", Timestamp::now());
    store.commit(vec![store.insert(&run).unwrap()]).await.map_err(Error::from).unwrap();
    run.id
}

fn input(run: FlowRunId, key: &str, value: &str) -> FlowRunInput {
    let now = Timestamp::now();
    FlowRunInput {
        id: FlowRunInputId::new(),
        created: now,
        updated: now,
        flow_run_id: run,
        key: key.parse().unwrap(),
        value: value.to_owned(),
        sender: None,
    }
}

async fn keys(store: &Store, run: FlowRunId, prefix: &str) -> Vec<String> {
    let filter = FlowRunInputFilter { prefix: prefix.to_owned(), exclude_keys: Vec::new() };
    let inputs = store.flow_run_inputs(run, &filter).await.unwrap();
    inputs.into_iter().map(|input| input.key.into()).collect()
}

#[tokio::test]
async fn are_found_by_their_prefix_in_the_order_of_creation() {
    let store = store(&Faults::default()).await;
    let (run, other) = (flow_run(&store).await, flow_run(&store).await);
    let long = "a".repeat(3_000);
    for key in ["b", "a-2", &long, "a", ""] {
        store.add_flow_run_input(&input(run, key, "value")).await.unwrap();
    }
    store.add_flow_run_input(&input(other, "a", "of another run")).await.unwrap();
    assert_eq!(keys(&store, run, "").await, ["b", "a-2", &long, "a", ""]);
    assert_eq!(keys(&store, run, "A").await, ["a-2", &long, "a"], "letters match without case");
    assert!(keys(&store, run, "a_").await.is_empty(), "an underscore is one");
    assert_eq!(keys(&store, run, &"a".repeat(2_999)).await, [long]);
    assert!(keys(&store, run, "c").await.is_empty());
}

#[tokio::test]
async fn have_unique_keys() {
    let store = store(&Faults::default()).await;
    let run = flow_run(&store).await;
    store.add_flow_run_input(&input(run, "key", "first")).await.unwrap();
    let second = input(run, "key", "second");
    assert!(matches!(store.add_flow_run_input(&second).await, Err(Error::Conflict(_))));
    let found = store.flow_run_input(run, &second.key).await.unwrap().unwrap();
    assert_eq!(found.value, "first");
    assert!(store.delete_flow_run_input(run, &second.key).await.unwrap());
    assert!(!store.delete_flow_run_input(run, &second.key).await.unwrap());
    store.add_flow_run_input(&second).await.unwrap();
}

#[tokio::test]
async fn belong_to_a_flow_run() {
    let store = store(&Faults::default()).await;
    let run = flow_run(&store).await;
    let gone = input(run, "key", "value");
    store.add_flow_run_input(&gone).await.unwrap();
    assert!(store.delete_flow_run(run, Timestamp::now(), LongestWaits::default()).await.unwrap());
    assert_eq!(store.flow_run_input(run, &gone.key).await.unwrap(), None);
    assert!(keys(&store, run, "").await.is_empty());
    let orphan = store.add_flow_run_input(&input(FlowRunId::new(), "key", "value")).await;
    assert!(matches!(orphan, Err(Error::NotFound(_))));
}

#[tokio::test]
async fn are_not_refused_as_duplicates_of_themselves() {
    let faults = Faults::on("PutItem");
    let store = store(&faults).await;
    let run = flow_run(&store).await;
    faults.then(Fault::AnswerLost);
    store.add_flow_run_input(&input(run, "key", "value")).await.unwrap();
    assert_eq!((faults.left(), keys(&store, run, "").await), (0, vec!["key".to_owned()]));
}

#[tokio::test]
async fn are_refused_where_they_are_larger_than_any_request() {
    let store = store(&Faults::default()).await;
    let run = flow_run(&store).await;
    let refused = store.add_flow_run_input(&input(run, "large", &"x".repeat(LARGEST_RECORD))).await;
    assert!(matches!(refused, Err(Error::TooLarge(_))));
    assert!(keys(&store, run, "").await.is_empty());
}
