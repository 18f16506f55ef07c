//! Background task runs that wait for a worker, in one partition a task.

use domain::model::{Handed, QueuedTaskRun, TaskRun, TaskRunId, Timestamp};
use error::Result;
use uuid::Uuid;

use super::{
    Item, Key, Record, Store, TableAccess, Versioned, Write,
    commit::was_written,
    connections::kept_until,
    query::Range,
    table::{self, IndexKey, Shards},
    task_workers::KEPT_SECONDS,
};

crate::json_record!(QueuedTaskRun);

impl Record for QueuedTaskRun {
    const HEAD: &'static [&'static str] = &["task_run_id", "task_key", "state_id", "queued", "is_retry", "handed"];

    fn key(&self) -> Key {
        table::queued_task_run(&self.task_key, self.order(), self.queued, self.task_run_id)
    }

    fn index_keys(&self, _shards: Shards) -> Vec<IndexKey> {
        Vec::new()
    }
}

/// How long a worker may take to begin what it has acknowledged, before it matters whether it is still there, in
/// seconds.
///
/// It acknowledges one run more than it may run at once, so this run may wait for long.
const BEGUN_WITHIN: f64 = 60.0;

/// How many queued runs are read at once.
const READ_AT_ONCE: usize = 8;

/// What [`Store::first_queued_task_run`] touches.
pub const TAKE: TableAccess = TableAccess::WRITES;

impl Store {
    /// Returns the write that queues a run, together with the state that it waits in.
    pub fn queue_task_run(&self, queued: &QueuedTaskRun) -> Result<Write> {
        self.insert(queued)
    }

    /// Returns the first run in the queue of the task `task_key` that nobody has at `now`, with its place.
    ///
    /// A run that was handed counts as taken while its connection is there, of which `is_connected` knows, or the
    /// connection's record if a gateway holds it; once acknowledged, while its worker is seen. What nobody has to begin
    /// any more is taken out of the queue on the way.
    pub async fn first_queued_task_run(
        &self,
        task_key: &str,
        now: Timestamp,
        is_connected: impl Fn(Uuid) -> bool,
    ) -> Result<Option<(Versioned<QueuedTaskRun>, TaskRun)>> {
        // All that waits for a task has one partition.
        let Key { pk, .. } = table::queued_task_run(task_key, "", Timestamp::MIN, TaskRunId(Uuid::nil()));
        let mut reader = self.read(Range::partition(pk), READ_AT_ONCE);
        while let Some(items) = reader.more().await? {
            for item in items {
                let Some(queued) = item.readable::<QueuedTaskRun>() else { continue };
                let run = self.task_run(queued.task_run_id).await?;
                let Some(run) = run.map(|found| found.record).filter(|run| waits_in(run, &queued)) else {
                    let deletion = vec![Write::DeleteVersion(item.key, item.version)];
                    was_written(self.commit(deletion).await)?;
                    continue;
                };
                let is_free = match &queued.handed {
                    None => true,
                    Some(handed) if handed.acknowledged => self.has_gone(handed, now).await?,
                    Some(Handed { gateway: Some(id), .. }) => !self.is_held(id, now).await?,
                    Some(handed) => !is_connected(handed.connection),
                };
                if is_free {
                    return Ok(Some((Versioned { record: queued, version: item.version }, run)));
                }
            }
        }
        Ok(None)
    }

    /// Tells whether the worker has not begun what it has acknowledged, and is not seen any more.
    async fn has_gone(&self, handed: &Handed, now: Timestamp) -> Result<bool> {
        if handed.at.plus_seconds(BEGUN_WITHIN) > now {
            return Ok(false);
        }
        let seen = self.task_worker_seen(&handed.client_id).await?;
        Ok(seen.is_none_or(|seen| seen.plus_seconds(KEPT_SECONDS) <= now))
    }

    /// Tells whether a gateway may still hold the connection `id`.
    async fn is_held(&self, id: &str, now: Timestamp) -> Result<bool> {
        let connection = self.connection(id).await?;
        // DynamoDB may take days to delete what has expired.
        Ok(connection.is_some_and(|found| kept_until(&found.record) > now))
    }

    /// Returns the write that changes a queued run of this version.
    pub fn queued_task_run_change(&self, queued: &QueuedTaskRun, version: u64) -> Result<Write> {
        Ok(Write::Replace(Item::of(queued, version + 1, self.shards())?))
    }

    /// Changes a queued run of this version; returns whether it was still that.
    pub async fn change_queued_task_run(&self, queued: &QueuedTaskRun, version: u64) -> Result<bool> {
        was_written(self.commit(vec![self.queued_task_run_change(queued, version)?]).await)
    }
}

/// Tells whether `run` is in the state in which it was queued.
fn waits_in(run: &TaskRun, queued: &QueuedTaskRun) -> bool {
    run.state.as_ref().is_some_and(|state| state.id == queued.state_id)
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::Client;
    use embedded::EmbeddedDatabase;
    use serde_json::json;

    use super::*;
    use domain::model::{State, StateId, StateType};

    async fn store() -> Store {
        let config = EmbeddedDatabase::in_memory().unwrap().sdk_config();
        let store = Store::new(Client::from_conf(config), "proctor-records", Shards(3));
        store.create_table().await.unwrap();
        store
    }

    async fn queue(store: &Store, queued: Timestamp, is_retry: bool) -> TaskRunId {
        let (id, state_id) = (TaskRunId::new(), StateId::new());
        let run: TaskRun = serde_json::from_value(json!({
            "id": id, "created": queued, "updated": queued, "name": "run", "task_key": "key", "dynamic_key": id,
            "state": State::new(state_id, StateType::Scheduled, queued),
        }))
        .unwrap();
        let waits = QueuedTaskRun { task_run_id: id, task_key: "key".into(), state_id, queued, is_retry, handed: None };
        let writes = vec![store.insert(&run).unwrap(), store.queue_task_run(&waits).unwrap()];
        store.commit(writes).await.unwrap();
        id
    }

    async fn first(store: &Store, now: Timestamp, connected: &[Uuid]) -> Option<Versioned<QueuedTaskRun>> {
        let found =
            store.first_queued_task_run("key", now, |connection| connected.contains(&connection)).await.unwrap();
        found.map(|(queued, _)| queued)
    }

    async fn hand(store: &Store, queued: &Versioned<QueuedTaskRun>, handed: Handed) -> bool {
        let changed = QueuedTaskRun { handed: Some(handed), ..queued.record.clone() };
        store.change_queued_task_run(&changed, queued.version).await.unwrap()
    }

    #[tokio::test]
    async fn retries_go_first_and_then_the_oldest() {
        let (store, now) = (store().await, Timestamp::now());
        let young = queue(&store, now.plus_seconds(1.0), false).await;
        let old = queue(&store, now, false).await;
        let again = queue(&store, now.plus_seconds(2.0), true).await;
        let mut order = Vec::new();
        let connection = Uuid::new_v4();
        while let Some(found) = first(&store, now, &[connection]).await {
            let handed = Handed { client_id: "one".into(), connection, at: now, acknowledged: false, gateway: None };
            assert!(hand(&store, &found, handed.clone()).await);
            assert!(!hand(&store, &found, handed).await, "another one was faster");
            order.push(found.record.task_run_id);
        }
        assert_eq!(order, [again, old, young]);
    }

    #[tokio::test]
    async fn a_run_is_another_s_as_long_as_that_one_is_there() {
        let (store, now) = (store().await, Timestamp::now());
        queue(&store, now, false).await;
        let connection = Uuid::new_v4();
        let later = |seconds: f64| now.plus_seconds(seconds);
        let handed = Handed { client_id: "one".into(), connection, at: now, acknowledged: false, gateway: None };
        store.see_task_worker("one", &["key".into()], now).await.unwrap();
        assert!(hand(&store, &first(&store, now, &[]).await.unwrap(), handed.clone()).await);
        assert!(first(&store, later(1e6), &[connection]).await.is_none(), "it waits for an acknowledgement");

        let gone = first(&store, now, &[]).await.unwrap();
        assert!(hand(&store, &gone, Handed { acknowledged: true, ..handed }).await);
        assert!(first(&store, later(BEGUN_WITHIN - 1.0), &[]).await.is_none(), "it was acknowledged just now");
        assert!(first(&store, later(KEPT_SECONDS - 1.0), &[]).await.is_none(), "its worker is there");
        assert!(first(&store, later(KEPT_SECONDS + 1.0), &[]).await.is_some(), "its worker is not seen any more");
        store.forget_task_worker("one").await.unwrap();
        assert!(first(&store, later(BEGUN_WITHIN - 1.0), &[]).await.is_none(), "a worker may come back at once");
        assert!(first(&store, later(BEGUN_WITHIN + 1.0), &[]).await.is_some(), "its worker has left");
    }

    #[tokio::test]
    async fn what_has_gone_on_is_taken_out() {
        let (store, now) = (store().await, Timestamp::now());
        let id = queue(&store, now, false).await;
        let found = store.task_run(id).await.unwrap().unwrap();
        let mut run = found.record;
        run.state = Some(State::new(StateId::new(), StateType::Running, now));
        store.commit(vec![store.replace(&run, found.version).unwrap()]).await.unwrap();
        assert!(first(&store, now, &[]).await.is_none());
        let Key { pk, .. } = table::queued_task_run("key", "", Timestamp::MIN, id);
        assert_eq!(store.read_all(Range::partition(pk)).await.unwrap().len(), 0);
    }
}
