//! The events that tell of records that are made, changed and deleted: one file a kind of record makes them.

use std::collections::HashMap;

use super::{Failures, Written, deployment_polling};
use domain::{
    events::lifecycle,
    model::{Artifact, ArtifactCollection, ArtifactId, Event, ReceivedEvent, ToldCollection},
};
use error::{Error, Result};
use store::{
    Store,
    table::{self, Subject},
};

use crate::{App, event_ingestion};

/// Keeps the events of the changes in `written`.
pub(super) async fn emit(app: &App, written: &[(usize, Written<'_>)], failures: &mut Failures) {
    let mut told: Vec<(usize, Event)> = Vec::new();
    for (place, Written { before, after }) in written {
        match table::events_of_change(*before, after) {
            Ok(events) => told.extend(events.into_iter().map(|event| (*place, event))),
            Err(error) => failures.add(*place, error),
        }
    }
    for events in [deployment_polling::events_of(app, written).await, events_of_collections(&app.store, written).await]
    {
        match events {
            Ok(events) => told.extend(events),
            Err(error) => failures.add_all(written.iter().map(|(place, _)| *place), &error),
        }
    }
    let (places, events): (Vec<usize>, Vec<ReceivedEvent>) =
        told.into_iter().map(|(place, event)| (place, event.receive(app.now()))).unzip();
    if let Err(error) = event_ingestion::keep(app, &events).await {
        failures.add_all(places, &error);
    }
}

/// Returns the events of the collections in `written` that have another latest artifact, each with the change's place.
///
/// What that artifact holds is read here: if it is gone by now, the event goes without.
async fn events_of_collections(store: &Store, written: &[(usize, Written<'_>)]) -> Result<Vec<(usize, Event)>> {
    let mut followed: Vec<(usize, Written<'_>, ArtifactCollection)> = Vec::new();
    for (place, written) in written {
        if written.after.is_announced() && Subject::of(&written.after.key) == Some(Subject::ArtifactCollection) {
            followed.push((*place, *written, written.after.record()?));
        }
    }
    let keys: Vec<_> = followed.iter().map(|(.., collection)| table::artifact(collection.latest_id)).collect();
    let found = store.get_many::<Artifact>(&keys).await?;
    let latest: HashMap<ArtifactId, Artifact> =
        found.into_iter().map(|found| (found.record.id, found.record)).collect();
    let mut events = Vec::with_capacity(followed.len());
    for (place, Written { before, after }, collection) in followed {
        let before = before.map(|before| Ok::<_, Error>(ToldCollection::new(before.record()?, None))).transpose()?;
        let latest = latest.get(&collection.latest_id).cloned();
        let event = lifecycle::changed(before.as_ref(), &ToldCollection::new(collection, latest), after.version)?;
        events.extend(event.map(|event| (place, event)));
    }
    Ok(events)
}

#[cfg(test)]
mod tests {
    use embedded::EmbeddedDatabase;
    use serde_json::json;

    use super::*;
    use domain::model::{
        ArtifactCollectionId, ConcurrencyLimit, ConcurrencyLimitId, Flow, FlowId, FlowRunId, StateId, Timestamp,
    };
    use store::{Item, Record, Shards};

    async fn store() -> Store {
        let config = EmbeddedDatabase::in_memory().unwrap().sdk_config();
        let store = Store::new(aws_sdk_dynamodb::Client::from_conf(config), "proctor-records", Shards(1));
        store.create_table().await.unwrap();
        store
    }

    fn announced<R: Record>(record: &R, version: u64) -> Item {
        Item { announced: Some(version), ..Item::of(record, version, Shards(1)).unwrap() }
    }

    fn names(before: Option<&Item>, after: &Item) -> Vec<String> {
        table::events_of_change(before, after).unwrap().into_iter().map(|event| event.event).collect()
    }

    #[test]
    fn a_flow_is_made_and_changed() {
        let flow = Flow::new(FlowId::new(), "a flow", Timestamp::now());
        let (first, next) = (announced(&flow, 1), announced(&flow, 2));
        assert_eq!(names(None, &first), ["prefect.flow.created"]);
        assert_eq!(names(Some(&first), &next), ["prefect.flow.updated"]);
        let state = Item { key: table::state(&first.key, Timestamp::now(), StateId::new()), ..first };
        assert!(names(None, &state).is_empty());
    }

    #[tokio::test]
    async fn what_is_left_of_a_deleted_record_holds_its_event() {
        let (store, flow) = (store().await, Flow::new(FlowId::new(), "a flow", Timestamp::now()));
        store.add_flow(flow.clone()).await.unwrap();
        store.delete::<Flow>(flow.id).await.unwrap();
        let tombstone = store.get_item(&table::flow(flow.id).tombstone()).await.unwrap().unwrap();
        let events = table::events_of_change(None, &tombstone).unwrap();
        assert_eq!(events.len(), 1);
        assert_eq!(events[0].event, "prefect.flow.deleted");
        assert_eq!(events[0].resource.id(), format!("prefect.flow.{}", flow.id));
    }

    #[test]
    fn slots_of_a_limit_are_no_event() {
        let limit = ConcurrencyLimit::new(ConcurrencyLimitId::new(), "a limit", 2, Timestamp::now());
        let defined = announced(&limit, 1);
        let taken = Item { announced: None, ..announced(&limit, 2) };
        assert_eq!(names(None, &defined), ["prefect.concurrency-limit.created"]);
        assert!(names(Some(&defined), &taken).is_empty());
        assert_eq!(names(Some(&taken), &announced(&limit, 3)), ["prefect.concurrency-limit.updated"]);
    }

    #[tokio::test]
    async fn the_first_artifact_of_a_key_makes_its_collection_and_the_next_updates_it() {
        let store = store().await;
        let mut latest = Artifact::new(ArtifactId::new(), Timestamp::now());
        (latest.key, latest.data) = (Some("report".into()), Some(json!({"rows": 2})));
        latest.flow_run_id = Some(FlowRunId::new());
        store.add_artifact(&latest).await.unwrap();
        let collection = ArtifactCollection::new(ArtifactCollectionId::new(), "report", &latest);
        let gone = ArtifactCollection { latest_id: ArtifactId::new(), ..collection.clone() };
        let (first, next) = (announced(&collection, 1), announced(&collection, 2));
        let (touched, last) = (Item { announced: Some(2), ..announced(&collection, 3) }, announced(&gone, 4));
        let written = |before, after| Written { before, after };
        let batch = [
            (4, Written::added(&first)),
            (5, written(Some(&first), &next)),
            (6, written(Some(&next), &touched)),
            (7, written(Some(&touched), &last)),
        ];
        let events = events_of_collections(&store, &batch).await.unwrap();
        let told: Vec<_> = events.iter().map(|(place, event)| (*place, event.event.as_str())).collect();
        let (created, updated) = ("prefect.artifact-collection.created", "prefect.artifact-collection.updated");
        assert_eq!(told, [(4, created), (5, updated), (7, updated)]);
        assert_eq!(
            [0, 1, 2].map(|place| events[place].1.payload["data"].clone()),
            [json!({"rows": 2}), json!({"rows": 2}), json!(null)]
        );
        assert_eq!(events[0].1.related.len(), 2);
        assert_ne!(events[0].1.id, events[1].1.id);
    }
}
