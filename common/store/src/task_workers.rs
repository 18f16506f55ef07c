//! Task workers in the table, as long as they are seen.

use std::collections::BTreeSet;

use domain::model::{TaskWorker, Timestamp};
use error::Result;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Item, Key, Record, Store, TableAccess, Versioned, Write,
    commit::retry_on_conflict,
    entity::Each,
    query::Range,
    select::{Source, Window},
    table::{self, Collection, Index, IndexKey, Shards},
};

/// How long a worker counts that is not seen again, in seconds.
///
/// One whose connection ends is forgotten at once; this is for those whose server ends, too.
pub const KEPT_SECONDS: f64 = 120.0;

/// A task worker, and since when it is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredTaskWorker {
    /// The worker.
    #[serde(flatten)]
    pub worker: TaskWorker,
    /// When it was seen first.
    since: Timestamp,
}

impl StoredTaskWorker {
    fn new(identifier: &str, now: Timestamp) -> Self {
        let worker = TaskWorker { identifier: identifier.to_owned(), task_keys: BTreeSet::new(), timestamp: now };
        Self { worker, since: now }
    }
}

crate::json_record!(StoredTaskWorker);

impl Record for StoredTaskWorker {
    const HEAD: &'static [&'static str] = &["identifier", "task_keys", "timestamp", "since"];

    fn key(&self) -> Key {
        table::task_worker(&self.worker.identifier)
    }

    fn index_keys(&self, shards: Shards) -> Vec<IndexKey> {
        let id = Uuid::new_v5(&Uuid::NAMESPACE_OID, self.worker.identifier.as_bytes());
        let sk = table::sort_with_id(&self.since.sortable(), id);
        vec![IndexKey { index: Index::Lookup, pk: shards.of(Collection::TaskWorkers, id), sk }]
    }
}

/// What [`Store::task_workers`] touches.
pub const FILTER: TableAccess = TableAccess::READS.via(&[Index::Lookup]);

/// What [`Store::see_task_worker`] and [`Store::forget_task_worker`] touch.
pub const SEE: TableAccess = TableAccess::WRITES;

impl Store {
    /// Notes that the worker `identifier` was seen at `now`, and that it runs the tasks too.
    pub async fn see_task_worker(&self, identifier: &str, task_keys: &[String], now: Timestamp) -> Result<()> {
        let key = table::task_worker(identifier);
        retry_on_conflict(|| async {
            let found = self.get::<StoredTaskWorker>(&key).await?;
            let mut stored = found
                .as_ref()
                .filter(|found| is_seen(&found.record.worker, now))
                .map_or_else(|| StoredTaskWorker::new(identifier, now), |Versioned { record, .. }| record.clone());
            stored.worker.task_keys.extend(task_keys.iter().cloned());
            stored.worker.timestamp = stored.worker.timestamp.max(now);
            let mut item = Item::of(&stored, found.as_ref().map_or(1, |found| found.version + 1), self.shards())?;
            item.expires = Some(stored.worker.timestamp.plus_seconds(KEPT_SECONDS).as_seconds());
            self.commit(vec![if found.is_some() { Write::Replace(item) } else { Write::Insert(item) }]).await
        })
        .await
    }

    /// Returns when the worker `identifier` was seen last, if it is known.
    pub async fn task_worker_seen(&self, identifier: &str) -> Result<Option<Timestamp>> {
        let found = self.get::<StoredTaskWorker>(&table::task_worker(identifier)).await?;
        Ok(found.map(|found| found.record.worker.timestamp))
    }

    /// Forgets the worker `identifier`, which may be unknown.
    pub async fn forget_task_worker(&self, identifier: &str) -> Result<()> {
        Ok(self.commit(vec![Write::Delete(table::task_worker(identifier))]).await?)
    }

    /// Returns the workers that run any of the tasks, or all if none are named, the first seen first.
    pub async fn task_workers(&self, task_keys: &[String], now: Timestamp) -> Result<Vec<TaskWorker>> {
        let all = Source::Ordered(Range::all(self, Index::Lookup, Collection::TaskWorkers));
        let matches =
            Some(|stored: &StoredTaskWorker| is_seen(&stored.worker, now) && stored.worker.runs_any(task_keys));
        let by_begin = |a: &StoredTaskWorker, b: &StoredTaskWorker| {
            (a.since, &a.worker.identifier).cmp(&(b.since, &b.worker.identifier))
        };
        let window = Window { offset: 0, limit: usize::MAX };
        let found = self.select(all, &mut Each(matches), by_begin, window).await?;
        Ok(found.into_iter().map(|stored| stored.worker).collect())
    }
}

/// The table removes what is over a while later only.
fn is_seen(worker: &TaskWorker, now: Timestamp) -> bool {
    worker.timestamp.plus_seconds(KEPT_SECONDS) > now
}

#[cfg(test)]
mod tests {
    use embedded::EmbeddedDatabase;

    use super::*;

    #[tokio::test]
    async fn a_worker_counts_while_it_is_seen() {
        let config = EmbeddedDatabase::in_memory().unwrap().sdk_config();
        let store = Store::new(aws_sdk_dynamodb::Client::from_conf(config), "proctor-records", Shards(3));
        store.create_table().await.unwrap();
        let (store, start) = (&store, Timestamp::now());
        let at = |seconds: f64| start.plus_seconds(seconds);
        let keys = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
        let seen = |wanted: &'static [&'static str], now| async move {
            let found = store.task_workers(&keys(wanted), now).await.unwrap();
            found.into_iter().map(|worker| worker.identifier).collect::<Vec<_>>()
        };
        store.see_task_worker("one", &keys(&["a"]), at(0.0)).await.unwrap();
        store.see_task_worker("two", &keys(&["b", "c"]), at(1.0)).await.unwrap();
        store.see_task_worker("one", &keys(&["b"]), at(2.0)).await.unwrap();
        assert_eq!(seen(&[], at(3.0)).await, ["one", "two"]);
        assert_eq!(seen(&["b"], at(3.0)).await, ["one", "two"]);
        assert_eq!(seen(&["a", "x"], at(3.0)).await, ["one"]);
        assert_eq!(seen(&["x"], at(3.0)).await, [""; 0]);
        let [one, _two] = &store.task_workers(&[], at(3.0)).await.unwrap()[..] else { panic!("two workers") };
        assert_eq!((one.timestamp, one.task_keys.len()), (at(2.0), 2));

        assert_eq!(seen(&[], at(1.0 + KEPT_SECONDS)).await, ["one"], "the other was not seen again");
        store.forget_task_worker("one").await.unwrap();
        store.forget_task_worker("one").await.unwrap();
        assert_eq!(seen(&[], at(3.0)).await, ["two"]);

        // One that comes back is new, whether or not the table has removed it meanwhile.
        store.see_task_worker("two", &keys(&["d"]), at(500.0)).await.unwrap();
        assert_eq!(seen(&["b"], at(501.0)).await, [""; 0]);
        assert_eq!(seen(&["d"], at(501.0)).await, ["two"]);
    }
}
