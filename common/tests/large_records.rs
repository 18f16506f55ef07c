//! What the consumer of the stream makes of items whose texts are in parts.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "no job is looked at here")]
mod world;

use common::{
    filter::EventFilter,
    model::{Artifact, ArtifactId, Flow, FlowId, FlowRun, FlowRunId, State, StateId, StateType, Timestamp},
    store::{Item, Write, event_query::Counting, select::Window, table},
    stream::{self, Batch, Record},
};
use embedded::{StreamRecord, faults::Faults};
use serde_json::json;
use uuid::Uuid;
use world::{World, world};

/// Returns a text that is too long for an item, however it is compressed.
fn noise() -> String {
    (0..4_000).map(|_| Uuid::new_v4().simple().to_string()).collect()
}

fn artifact(id: ArtifactId) -> Artifact {
    let mut artifact = Artifact::new(id, Timestamp::now());
    artifact.data = Some(json!(noise()));
    artifact
}

/// Returns what the stream tells that is not acknowledged.
async fn told(world: &mut World) -> Vec<StreamRecord> {
    let records = tokio::time::timeout(std::time::Duration::from_millis(100), world.changes.next(1_000)).await;
    records.map(Result::unwrap).unwrap_or_default()
}

/// Returns the records of one item.
fn of(records: &[StreamRecord], pk: &str) -> Vec<Record> {
    let of_item = records.iter().filter(|record| record.keys["pk"]["S"] == pk);
    let read = |record: &StreamRecord| {
        Record::from_json(record.keys.clone(), record.old_image.clone(), record.new_image.clone()).unwrap()
    };
    of_item.map(read).collect()
}

#[tokio::test]
async fn a_change_is_told_whole_until_one_after_it_is_consumed() {
    let mut world = world(&Faults::default()).await;
    let id = ArtifactId::new();
    let store = world.app.store.clone();
    let texts = [artifact(id), artifact(id), artifact(id)];
    store.add_artifact(&texts[0]).await.unwrap();
    for text in &texts[1..] {
        store.update_artifact(id, |artifact| artifact.data.clone_from(&text.data)).await.unwrap();
    }
    let (records, pk) = (told(&mut world).await, table::artifact(id).pk);
    let data = |item: &Option<Item>| item.as_ref().map(|item| item.record::<Artifact>().unwrap().data.unwrap());
    let batch = Batch::read(&store, of(&records, &pk)).await.unwrap();
    let seen: Vec<_> = batch.changes.iter().map(|change| (data(&change.before), data(&change.after))).collect();
    let [one, two, three] = texts.map(|artifact| artifact.data);
    assert!(seen == [(None, one.clone()), (one, two.clone()), (two.clone(), three.clone())]);

    // The last one waits: it is told of again, together with what it replaced.
    batch.discard(&store, Some(2)).await.unwrap();
    let again = Batch::read(&store, of(&records, &pk)).await.unwrap();
    let seen: Vec<_> = again.changes.iter().map(|change| (data(&change.before), data(&change.after))).collect();
    assert!(seen == [(two, three.clone())]);
    assert_eq!(again.record_of(0), 2);
    again.discard(&store, None).await.unwrap();
    assert!(Batch::read(&store, of(&records, &pk)).await.unwrap().changes.is_empty());
    assert!(store.artifact(id).await.unwrap().unwrap().record.data == three);
}

#[tokio::test]
async fn the_same_text_in_other_parts_is_no_change() {
    let mut world = world(&Faults::default()).await;
    let item = Item::of(&artifact(ArtifactId::new()), 1, world.app.store.shards()).unwrap();
    for _ in 0..2 {
        world.app.store.commit(vec![Write::Put(item.clone())]).await.unwrap();
    }
    let records = told(&mut world).await;
    let batch = Batch::read(&world.app.store, of(&records, &item.key.pk)).await.unwrap();
    assert_eq!(batch.changes.len(), 1);
    batch.discard(&world.app.store, None).await.unwrap();
    assert_eq!(world.app.store.get_item(&item.key).await.unwrap(), Some(item));
}

#[tokio::test]
async fn what_comes_again_makes_no_event_twice_and_its_neighbours_go_on() {
    let mut world = world(&Faults::default()).await;
    let store = world.app.store.clone();
    let mut large = artifact(ArtifactId::new());
    (large.key, large.flow_run_id) = (Some("large".into()), Some(FlowRunId::new()));
    store.add_artifact(&large).await.unwrap();
    store.delete_artifact(large.id, Timestamp::now()).await.unwrap();
    let records = told(&mut world).await;
    let all = || {
        let read = |record: &StreamRecord| {
            Record::from_json(record.keys.clone(), record.old_image.clone(), record.new_image.clone()).unwrap()
        };
        records.iter().map(read).collect::<Vec<_>>()
    };
    for _ in 0..3 {
        assert!(stream::consume_records(&world.app, &world.queue, all()).await.is_empty());
    }
    let mut filter = EventFilter::default();
    filter.resolve(Timestamp::now());
    let events = store.read_events(&filter, None, 50, Counting::Ahead).await.unwrap().events;
    let created = events.iter().filter(|event| event.event == "prefect.artifact-collection.created");
    assert_eq!(created.count(), 1);
}

#[tokio::test]
async fn what_can_not_be_read_is_put_aside_with_its_reason_and_its_neighbours_are_told_of() {
    let mut world = world(&Faults::default()).await;
    let store = world.app.store.clone();
    let (good, _) = store.add_flow(flow("good")).await.unwrap();
    let (bad, _) = store.add_flow(flow("bad")).await.unwrap();
    let run = |flow: &Flow| {
        let mut run = FlowRun::new(FlowRunId::new(), flow.id, "run", Timestamp::now());
        let state = State::new(StateId::new(), StateType::Running, Timestamp::now());
        (run.state_id, run.state_type, run.state) = (Some(state.id), Some(state.r#type), Some(state));
        run
    };
    let (fine, broken) = (run(&good), run(&bad));
    let item = store.announced(&broken, 1).unwrap();
    let torn = Item { head: Some(r#"{"id":7}"#.into()), ..item };
    store.commit(vec![Write::Insert(torn)]).await.unwrap();
    store.commit(vec![Write::Insert(store.announced(&fine, 1).unwrap())]).await.unwrap();
    world.follow_writes().await;
    let mut filter = EventFilter::default();
    filter.resolve(Timestamp::now());
    let events = store.read_events(&filter, None, 50, Counting::Ahead).await.unwrap().events;
    let told = format!("prefect.flow-run.{}", fine.id);
    assert!(events.iter().any(|event| event.event == "prefect.flow-run.Running" && event.resource.id() == told));
    let letters = store.dead_letters(Window { offset: 0, limit: 10 }).await.unwrap();
    assert_eq!(letters.len(), 1);
    assert!(letters[0].reason.contains("can't be read"), "{}", letters[0].reason);
}

fn flow(name: &str) -> Flow {
    Flow::new(FlowId::new(), name, Timestamp::now())
}
