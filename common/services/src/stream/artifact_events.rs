//! The events `prefect.artifact-collection.created`, `.updated` and `.deleted`, as Prefect's
//! `artifact_collection_created_event` and its siblings.
//!
//! They tell of another latest artifact of a key; a change of an artifact itself is no event. What the artifact holds is
//! read when the event is made: if it is gone by then, the event goes without.

use std::collections::HashMap;

use serde_json::{Value, json};
use uuid::Uuid;

use domain::model::{Artifact, ArtifactCollection, ArtifactId, Event, Timestamp};
use error::Result;
use store::{
    Item, Store,
    artifacts::DeletedArtifactCollection,
    events::LARGEST_EVENT,
    table::{self, Subject},
};

/// Returns the events of the changes in `written`, each with the change's place in the batch.
pub(super) async fn events_of(store: &Store, written: &[(usize, &Item)]) -> Result<Vec<(usize, Event)>> {
    let mut events = Vec::new();
    let mut followed: Vec<(usize, u64, ArtifactCollection)> = Vec::new();
    for (place, item) in written {
        match Subject::of(&item.key) {
            Some(Subject::ArtifactCollection) if item.is_announced() => {
                followed.push((*place, item.version, item.record()?));
            }
            Some(Subject::DeletedArtifactCollection) => {
                let DeletedArtifactCollection { collection, description, data, deleted } = item.record()?;
                events.push((*place, event("deleted", &collection, item.version, deleted, (data, description))?));
            }
            _ => {}
        }
    }
    let keys: Vec<_> = followed.iter().map(|(.., collection)| table::artifact(collection.latest_id)).collect();
    let found = store.get_many::<Artifact>(&keys).await?.into_iter().map(|found| (found.record.id, found.record));
    let mut latest: HashMap<ArtifactId, Artifact> = found.collect();
    for (place, version, collection) in followed {
        let action = if version == 1 { "created" } else { "updated" };
        let held = latest.remove(&collection.latest_id).map(|artifact| (artifact.data, artifact.description));
        let event = event(action, &collection, version, collection.updated, held.unwrap_or_default())?;
        events.push((place, event));
    }
    Ok(events)
}

type Held = (Option<Value>, Option<String>);

fn event(
    action: &str,
    of: &ArtifactCollection,
    version: u64,
    occurred: Timestamp,
    (data, description): Held,
) -> Result<Event> {
    let related = |role: &str, kind: &str, id: Uuid| json!({ "prefect.resource.id": format!("prefect.{kind}.{id}"), "prefect.resource.role": role });
    let latest = related("latest", "artifact", of.latest_id.0);
    let flow_run = of.flow_run_id.map(|id| related("flow-run", "flow-run", id.0));
    let task_run = of.task_run_id.map(|id| related("task-run", "task-run", id.0));
    let related: Vec<Value> = std::iter::once(latest).chain(flow_run).chain(task_run).collect();
    let mut event = json!({
        "occurred": occurred,
        "event": format!("prefect.artifact-collection.{action}"),
        "resource": {
            "prefect.resource.id": format!("prefect.artifact-collection.{}", of.id),
            "prefect.resource.name": of.key,
        },
        "related": related,
        "payload": { "key": of.key, "type": of.r#type, "data": data, "description": description },
        "id": Uuid::new_v5(&of.id.0, format!("{action}#{version}").as_bytes()),
    });
    if event.to_string().len() > LARGEST_EVENT {
        event["payload"] = json!({ "type": of.r#type });
    }
    Ok(serde_json::from_value(event)?)
}

#[cfg(test)]
mod tests {
    use embedded::EmbeddedDatabase;

    use super::*;
    use domain::model::{ArtifactCollectionId, FlowRunId};
    use store::Shards;

    async fn store() -> Store {
        let config = EmbeddedDatabase::in_memory().unwrap().sdk_config();
        let store = Store::new(aws_sdk_dynamodb::Client::from_conf(config), "proctor-records", Shards(1));
        store.create_table().await.unwrap();
        store
    }

    fn artifact(data: &Value) -> Artifact {
        let mut artifact = Artifact::new(ArtifactId::new(), Timestamp::now());
        (artifact.key, artifact.data) = (Some("report".into()), Some(data.clone()));
        artifact.flow_run_id = Some(FlowRunId::new());
        artifact
    }

    #[tokio::test]
    async fn the_first_artifact_of_a_key_makes_its_collection_and_the_next_updates_it() {
        let store = store().await;
        let latest = artifact(&json!({"rows": 2}));
        store.add_artifact(&latest).await.unwrap();
        let collection = ArtifactCollection::new(ArtifactCollectionId::new(), "report", &latest);
        let item = |version| Item { announced: Some(version), ..Item::of(&collection, version, Shards(1)).unwrap() };
        let (first, next, touched) = (item(1), item(2), Item { announced: Some(2), ..item(3) });
        let events = events_of(&store, &[(4, &first), (5, &next), (6, &touched)]).await.unwrap();
        let told: Vec<_> = events.iter().map(|(place, event)| (*place, event.event.as_str())).collect();
        let expected = [(4, "prefect.artifact-collection.created"), (5, "prefect.artifact-collection.updated")];
        assert_eq!(told, expected);
        assert_eq!(events[0].1.payload["data"], json!({"rows": 2}));
        assert_eq!(events[0].1.related.len(), 2);
        assert_ne!(events[0].1.id, events[1].1.id);
    }

    #[test]
    fn what_is_too_large_for_an_event_is_left_out() {
        let latest = artifact(&json!(null));
        let collection = ArtifactCollection::new(ArtifactCollectionId::new(), "report", &latest);
        let large = (Some(json!("x".repeat(LARGEST_EVENT))), None);
        let event = event("updated", &collection, 2, Timestamp::now(), large).unwrap();
        assert!(!event.payload.contains_key("data"));
    }
}
