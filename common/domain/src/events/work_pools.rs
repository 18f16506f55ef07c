//! The events that tell of work pools and their queues, as Prefect's `work_pool_*_event` and `work_queue_*_event`.

use serde::Serialize;
use serde_json::{Value, json};

use super::{
    Lifecycle,
    lifecycle::{Action, Status},
};
use crate::model::{
    Object, named,
    work_pool::{StoredWorkPool, WorkPoolStatus},
    work_queue::{StoredWorkQueue, WorkQueueStatus},
};

/// For how many seconds a change of status is one that the next one's event follows.
const RECENT_SECONDS: f64 = 600.0;

named!(StoredWorkPool, pool);

impl Lifecycle for StoredWorkPool {
    const RESOURCE: &'static str = "work-pool";
    const STATUS_FIRST: bool = true;

    fn labels(&self) -> Vec<(&'static str, String)> {
        vec![pool_type(&self.pool.r#type), ("prefect.resource.role", "work-pool".to_owned())]
    }

    fn related_to(&self, action: Action) -> Vec<Value> {
        let related = |id: String, role: &str| json!({ "prefect.resource.id": id, "prefect.resource.role": role });
        let queue = self.pool.default_queue_id.map(|id| related(format!("prefect.work-queue.{id}"), "default-queue"));
        let storage = self.pool.storage_configuration.default_result_storage_block_id;
        let storage = storage.map(|id| related(format!("prefect.block-document.{id}"), "result-storage"));
        match action {
            // Prefect does not know the storage of a pool by the time when it is made.
            Action::Created => queue.into_iter().collect(),
            Action::Updated => Vec::new(),
            Action::Deleted => queue.into_iter().chain(storage).collect(),
        }
    }

    fn update(&self, before: &Self) -> Option<Value> {
        let (before, after) = (&before.pool, &self.pool);
        let mut updates = Updates::default();
        updates.note("description", &before.description, &after.description);
        updates.note("base_job_template", &before.base_job_template, &after.base_job_template);
        updates.note("concurrency_limit", &before.concurrency_limit, &after.concurrency_limit);
        updates.note("storage_configuration", &before.storage_configuration, &after.storage_configuration);
        updates.payload()
    }

    fn entered(&self, before: Option<&Self>) -> Option<Status> {
        let before = before.and_then(|before| before.last_status);
        let event = self.last_status.filter(|event| Some(*event) != before)?;
        // Prefect does not remember the event of the status that a pool was made with.
        let before = before.filter(|before| before.occurred > self.pool.created);
        let recent = before.filter(|before| event.occurred.seconds_since(before.occurred) < RECENT_SECONDS);
        let name = match self.pool.status.unwrap_or_default() {
            WorkPoolStatus::Ready => "ready",
            WorkPoolStatus::NotReady => "not-ready",
            WorkPoolStatus::Paused => "paused",
        };
        Some(Status {
            name: name.to_owned(),
            labels: vec![pool_type(&self.pool.r#type)],
            related: Vec::new(),
            id: Some(event.id),
            follows: recent.map(|before| before.id),
        })
    }
}

named!(StoredWorkQueue, queue);

impl Lifecycle for StoredWorkQueue {
    const RESOURCE: &'static str = "work-queue";

    fn labels(&self) -> Vec<(&'static str, String)> {
        vec![("prefect.resource.role", "work-queue".to_owned())]
    }

    fn related(&self) -> Vec<Value> {
        let (of_type, r#type) = pool_type(&self.pool.r#type);
        vec![json!({
            "prefect.resource.id": format!("prefect.work-pool.{}", self.pool.id),
            "prefect.resource.name": self.pool.name,
            (of_type): r#type,
            "prefect.resource.role": "work-pool",
        })]
    }

    fn update(&self, before: &Self) -> Option<Value> {
        let (before, after) = (&before.queue, &self.queue);
        let mut updates = Updates::default();
        updates.note("name", &before.name, &after.name);
        updates.note("description", &before.description, &after.description);
        updates.note("concurrency_limit", &before.concurrency_limit, &after.concurrency_limit);
        updates.note("priority", &before.priority, &after.priority);
        updates.payload()
    }

    fn entered(&self, before: Option<&Self>) -> Option<Status> {
        before.filter(|before| before.queue.status != self.queue.status)?;
        let name = match self.queue.status {
            WorkQueueStatus::Ready => "ready",
            WorkQueueStatus::NotReady => "not-ready",
            WorkQueueStatus::Paused => "paused",
        };
        Some(Status { name: name.to_owned(), labels: self.labels(), related: self.related(), id: None, follows: None })
    }
}

fn pool_type(r#type: &str) -> (&'static str, String) {
    ("prefect.work-pool.type", r#type.to_owned())
}

/// The fields that an update has changed, each with what it was and is, in the order in which Prefect lists them.
#[derive(Clone, Debug, Default)]
struct Updates(Object);

impl Updates {
    /// Notes the field `name`, if it is not what it was.
    fn note<T: Serialize + PartialEq>(&mut self, name: &str, before: &T, after: &T) {
        if before != after {
            self.0.insert(name.to_owned(), json!({ "from": before, "to": after }));
        }
    }

    /// Returns what the event says of them; nothing if nothing that is told of has changed.
    fn payload(self) -> Option<Value> {
        let fields: Vec<&String> = self.0.keys().collect();
        (!fields.is_empty()).then(|| json!({ "updated_fields": fields, "updates": self.0 }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        events::lifecycle::{deleted, events},
        model::{BlockDocumentId, Event, WorkPool, WorkPoolId, event::RelatedResource, work_pool::StatusEvent},
    };

    fn made() -> (StoredWorkPool, StoredWorkQueue) {
        let time = "2026-01-01T00:00:00Z";
        let document = json!({
            "id": WorkPoolId::new(), "created": time, "updated": time, "name": "a pool", "type": "process",
            "status": "NOT_READY", "storage_configuration": {"default_result_storage_block_id": BlockDocumentId::new()},
        });
        let pool: WorkPool = serde_json::from_value(document).unwrap();
        let (mut pool, queue) = StoredWorkPool::with_default_queue(pool);
        pool.last_status = Some(StatusEvent::new(pool.pool.created));
        (pool, queue)
    }

    fn names(events: &[Event]) -> Vec<&str> {
        events.iter().map(|event| event.event.as_str()).collect()
    }

    #[test]
    fn a_pool_is_made_and_in_a_status() {
        let (pool, queue) = made();
        let told = events(None, &pool, 1).unwrap();
        assert_eq!(names(&told), ["prefect.work-pool.created", "prefect.work-pool.not-ready"]);
        assert!(told[0].occurred < told[1].occurred, "readers find them in this order");
        let labels = |event: &Event| json!(event.resource.labels()).to_string();
        let id = pool.pool.id;
        let resource = format!(
            r#"{{"prefect.resource.id":"prefect.work-pool.{id}","prefect.resource.name":"a pool","prefect.work-pool.type":"process","prefect.resource.role":"work-pool"}}"#
        );
        assert_eq!(labels(&told[0]), resource);
        assert_eq!(labels(&told[1]), resource.replace(r#","prefect.resource.role":"work-pool""#, ""));
        let default = json!([{
            "prefect.resource.id": format!("prefect.work-queue.{}", queue.queue.id),
            "prefect.resource.role": "default-queue",
        }]);
        assert_eq!((json!(told[0].related), told[1].related.len()), (default, 0));
        let end = deleted(&pool, 2, pool.pool.updated.plus_seconds(1.0)).unwrap();
        assert_eq!(
            end.related.iter().map(RelatedResource::role).collect::<Vec<_>>(),
            ["default-queue", "result-storage"]
        );
    }

    #[test]
    fn a_change_of_a_pool_is_one_event_however_often_it_is_told_of() {
        let (before, _) = made();
        let mut after = before.clone();
        after.enter(WorkPoolStatus::Ready, before.pool.updated.plus_seconds(1.0));
        after.pool.concurrency_limit = Some(2);
        after.pool.description = Some("d".into());
        let told = events(Some(&before), &after, 2).unwrap();
        assert_eq!(names(&told), ["prefect.work-pool.ready", "prefect.work-pool.updated"]);
        assert_eq!(told, events(Some(&before), &after, 2).unwrap());
        assert_eq!(told[0].occurred, after.pool.updated);
        let payload = json!({
            "updated_fields": ["description", "concurrency_limit"],
            "updates": {"description": {"from": null, "to": "d"}, "concurrency_limit": {"from": null, "to": 2}},
        });
        assert_eq!(json!(told[1].payload).to_string(), payload.to_string());
        assert!(told[1].related.is_empty());
        let queues = StoredWorkPool { queues: Vec::new(), ..after.clone() };
        assert!(events(Some(&after), &queues, 3).unwrap().is_empty(), "nobody hears of a pool's list of queues");
    }

    #[test]
    fn a_status_follows_one_of_late_unless_the_pool_was_made_with_it() {
        let (made, _) = made();
        let enter = |before: &StoredWorkPool, seconds| {
            let mut after = before.clone();
            after.enter(WorkPoolStatus::Paused, before.pool.updated.plus_seconds(seconds));
            let told = events(Some(before), &after, 2).unwrap();
            assert_eq!(
                (names(&told), Some(told[0].id)),
                (vec!["prefect.work-pool.paused"], after.last_status.map(|last| last.id))
            );
            (told[0].follows, after)
        };
        let (first, paused) = enter(&made, 1.0);
        assert_eq!(first, None);
        assert_eq!(enter(&paused, 599.0).0, paused.last_status.map(|last| last.id));
        assert_eq!(enter(&paused, 600.0).0, None);
    }

    #[test]
    fn a_queue_names_its_pool() {
        let (pool, queue) = made();
        let told = events(None, &queue, 1).unwrap();
        assert_eq!(names(&told), ["prefect.work-queue.created"]);
        let related = format!(
            r#"[{{"prefect.resource.id":"prefect.work-pool.{}","prefect.resource.name":"a pool","prefect.work-pool.type":"process","prefect.resource.role":"work-pool"}}]"#,
            pool.pool.id
        );
        assert_eq!(json!(told[0].related).to_string(), related);
        assert_eq!(told[0].resource.label("prefect.resource.role"), Some("work-queue"));
        let mut after = queue.clone();
        after.queue.updated = queue.queue.updated.plus_seconds(1.0);
        (after.queue.name, after.queue.priority, after.queue.status) = ("q".into(), 3, WorkQueueStatus::Paused);
        let told = events(Some(&queue), &after, 2).unwrap();
        assert_eq!(names(&told), ["prefect.work-queue.updated", "prefect.work-queue.paused"]);
        assert_eq!(json!(told[1].related).to_string(), related);
        assert_eq!(told[0].payload["updated_fields"], json!(["name", "priority"]));
        assert_eq!(told, events(Some(&queue), &after, 2).unwrap());
    }

    #[test]
    fn nobody_hears_of_a_poll() {
        let (_, queue) = made();
        let mut after = queue.clone();
        after.queue.last_polled = Some(queue.queue.updated.plus_seconds(1.0));
        assert!(events(Some(&queue), &after, 2).unwrap().is_empty());
    }
}
