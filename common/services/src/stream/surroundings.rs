//! What this process remembers of the records around flow runs, which events of their states name.
//!
//! Busy ones are asked for with nearly every batch of changes, and what is told of them hardly ever changes.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use domain::model::{Deployment, Flow};
use error::Result;
use store::{Key, Record, Store, table::Subject, work_pools::StoredWorkPool, work_queues::StoredWorkQueue};

/// For how long a record is remembered.
///
/// A change of it that this process consumes is seen at once. One that another process consumes is seen after this.
const KEPT: Duration = Duration::from_secs(5);

/// How many records of a kind are remembered before all of them are forgotten.
const MOST: usize = 1_000;

/// The records around flow runs that this process remembers.
#[derive(Debug, Default)]
pub struct Surroundings {
    pub(super) flows: Memory<Flow>,
    pub(super) deployments: Memory<Deployment>,
    pub(super) queues: Memory<StoredWorkQueue>,
    pub(super) pools: Memory<StoredWorkPool>,
}

impl Surroundings {
    /// Forgets the record under `key`, which has changed.
    pub(super) fn forget(&self, key: &Key) {
        match Subject::of(key) {
            Some(Subject::Flow(_)) => self.flows.forget(key),
            Some(Subject::Deployment(_)) => self.deployments.forget(key),
            Some(Subject::WorkQueue(_)) => self.queues.forget(key),
            Some(Subject::WorkPool(_)) => self.pools.forget(key),
            _ => {}
        }
    }
}

/// Records of a kind, and when each was read.
#[derive(Debug)]
pub(super) struct Memory<R>(Mutex<HashMap<Key, (Instant, Arc<R>)>>);

impl<R> Default for Memory<R> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<R: Record> Memory<R> {
    /// Returns the records under `keys`, in no order and without the missing ones; reads those that are not remembered.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) async fn read(&self, store: &Store, mut keys: BTreeSet<Key>) -> Result<Vec<Arc<R>>> {
        let mut found = self.recall(&mut keys, Instant::now());
        if !keys.is_empty() {
            let asked = Instant::now();
            let read = store.get_many_settled::<R>(&Vec::from_iter(keys)).await?;
            found.extend(self.learn(read.into_iter().map(|read| read.record), asked));
        }
        Ok(found)
    }

    /// Returns the records that are remembered at `now`, and takes their keys out of `keys`.
    fn recall(&self, keys: &mut BTreeSet<Key>, now: Instant) -> Vec<Arc<R>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found = Vec::with_capacity(keys.len());
        keys.retain(|key| match known.get(key) {
            Some((read, record)) if now.duration_since(*read) < KEPT => {
                found.push(record.clone());
                false
            }
            _ => true,
        });
        found
    }

    /// Remembers `records`, which were `read` then, and returns them.
    fn learn(&self, records: impl Iterator<Item = R>, read: Instant) -> Vec<Arc<R>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.clear();
        }
        let learn = |record: R| {
            let (key, record) = (record.key(), Arc::new(record));
            known.insert(key, (read, record.clone()));
            record
        };
        records.map(learn).collect()
    }

    fn forget(&self, key: &Key) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

#[cfg(test)]
mod tests {
    use domain::model::{FlowId, Timestamp};
    use store::table;

    use super::*;

    #[test]
    fn a_record_is_remembered_until_it_changes_or_its_time_has_passed() {
        let (known, now) = (Surroundings::default(), Instant::now());
        let flow = Flow::new(FlowId::new(), "flow", Timestamp::now());
        let recalled = |at| {
            let mut keys = BTreeSet::from([table::flow(flow.id), table::flow(FlowId::new())]);
            let found = known.flows.recall(&mut keys, at);
            assert_eq!(found.len() + keys.len(), 2, "what is not remembered is to be read");
            found.len()
        };
        let learn = || drop(known.flows.learn(std::iter::once(flow.clone()), now));
        assert_eq!(recalled(now), 0);
        learn();
        assert_eq!((recalled(now), recalled(now + KEPT)), (1, 0));
        known.forget(&table::flow(flow.id));
        assert_eq!(recalled(now), 0);
        (0..=MOST)
            .for_each(|_| drop(known.flows.learn(std::iter::once(Flow { id: FlowId::new(), ..flow.clone() }), now)));
        learn();
        assert!(known.flows.0.lock().unwrap().len() < MOST);
    }
}
