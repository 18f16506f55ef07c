//! Whether somebody polls for the runs of deployments, as Prefect's `mark_deployments_ready` and its foreman keep it.
//!
//! It is kept apart from the deployments, which are large and in several indexes, while a poll changes a time only. A
//! deployment whose queue is polled costs the poll nothing: it is ready as long as its queue is polled, and the queue
//! tells when that was. What is to be changed is found in the index `related`: deployments of a queue that are ready or
//! are not, and deployments that were polled by their ids by when that was too long ago.

use std::collections::HashMap;

use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};

use super::{
    Key, Record, Store, TableAccess, Versioned, Write,
    commit::{retry_on_conflict, was_written},
    query::Range,
    table::{self, Collection, Index, IndexKey, Shards, Subject},
};
use domain::model::{Deployment, DeploymentId, Timestamp, WorkQueue, WorkQueueId, deployment::DeploymentStatus};
use error::Result;

/// What is known of the polls for a deployment's runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Readiness {
    /// The deployment.
    pub deployment: DeploymentId,
    /// The queue that its runs wait in.
    #[serde(default)]
    pub queue: Option<WorkQueueId>,
    /// Whether somebody polls for its runs.
    #[serde(default)]
    pub status: DeploymentStatus,
    /// When its runs were last polled for by its id; polls of its queue are noted there.
    #[serde(default)]
    pub last_polled: Option<Timestamp>,
    /// When the server looks whether its runs were polled for by its id lately.
    #[serde(default)]
    check: Option<Timestamp>,
    /// When it entered its status, if ever it has been ready.
    #[serde(default)]
    pub entered: Option<Timestamp>,
}

impl Readiness {
    fn new(deployment: DeploymentId, queue: Option<WorkQueueId>) -> Self {
        Self { deployment, queue, status: DeploymentStatus::NotReady, last_polled: None, check: None, entered: None }
    }

    /// Fills in what is known of the polls for the runs of `deployment`, which wait in `queue`.
    ///
    /// While the deployment is ready, polls of its queue are polls of it.
    pub fn fill_in(&self, deployment: &mut Deployment, queue: Option<&WorkQueue>) {
        let queue = queue.filter(|_| self.status == DeploymentStatus::Ready);
        deployment.status = self.status;
        deployment.last_polled = self.last_polled.max(queue.and_then(|queue| queue.last_polled));
    }

    /// Returns when it entered its status, if that is another one than `before`.
    pub fn entered_since(&self, before: Option<&Self>) -> Option<Timestamp> {
        let before = before.map_or(DeploymentStatus::NotReady, |before| before.status);
        self.entered.filter(|_| self.status != before)
    }

    fn enter(&mut self, status: DeploymentStatus, now: Timestamp) {
        (self.status, self.entered) = (status, Some(now));
    }
}

crate::json_record!(Readiness);

impl Record for Readiness {
    const HEAD: &'static [&'static str] = &["deployment", "queue", "status", "last_polled"];

    fn key(&self) -> Key {
        table::readiness(self.deployment)
    }

    fn index_keys(&self, shards: Shards) -> Vec<IndexKey> {
        let id = self.deployment;
        let place = match (self.check, self.queue) {
            (Some(check), _) => Some((shards.of(Collection::Timers, id.0), table::sort_with_id(&check.sortable(), id))),
            (None, Some(queue)) => {
                Some((table::deployments_of_queue(queue, self.status == DeploymentStatus::Ready), id.to_string()))
            }
            (None, None) => None,
        };
        place.map(|(pk, sk)| IndexKey { index: Index::Related, pk, sk }).into_iter().collect()
    }
}

/// What finding the deployments of a queue touches that are ready or are not.
pub(super) const OF_QUEUE: TableAccess = TableAccess::READS.via(&[Index::Related]);

/// For how many seconds a poll by ids is not written down again: readers see the last one within so many seconds.
const POLLS_APART_SECONDS: f64 = 5.0;

/// How many deployments become ready with the poll of their queue; more of them follow by themselves.
pub(super) const READY_AT_ONCE: usize = 20;

/// How many deployments are changed at the same time.
const CHANGES_AT_ONCE: usize = 8;

impl Store {
    /// Reads what is known of the polls for the runs of `deployments`.
    pub async fn readiness_of(
        &self,
        deployments: impl IntoIterator<Item = DeploymentId>,
    ) -> Result<HashMap<DeploymentId, Readiness>> {
        let keys: Vec<Key> = deployments.into_iter().map(table::readiness).collect();
        let found = self.get_many::<Readiness>(&keys).await?;
        Ok(found.into_iter().map(|found| (found.record.deployment, found.record)).collect())
    }

    /// Notes that the runs of `deployments` were polled for at `now`; those that were not ready are ready then.
    ///
    /// Ids that no deployment has are passed over.
    pub async fn note_poll_of_deployments(&self, deployments: &[DeploymentId], now: Timestamp) -> Result<()> {
        let keys: Vec<Key> = deployments.iter().copied().map(table::readiness).collect();
        let known: HashMap<DeploymentId, Versioned<Readiness>> = self
            .get_many::<Readiness>(&keys)
            .await?
            .into_iter()
            .map(|found| (found.record.deployment, found))
            .collect();
        let is_noted = |id: &DeploymentId| {
            known.get(id).is_some_and(|found| {
                let polled = found.record.last_polled;
                found.record.status == DeploymentStatus::Ready
                    && polled.is_some_and(|polled| now.seconds_since(polled) < POLLS_APART_SECONDS)
            })
        };
        let stale: Vec<DeploymentId> = deployments.iter().copied().filter(|id| !is_noted(id)).collect();
        stream::iter(stale)
            .map(|id| self.note_poll_of_deployment(id, known.get(&id), now))
            .buffer_unordered(CHANGES_AT_ONCE)
            .try_collect()
            .await
    }

    async fn note_poll_of_deployment(
        &self,
        id: DeploymentId,
        found: Option<&Versioned<Readiness>>,
        now: Timestamp,
    ) -> Result<()> {
        let mut after = found.map_or_else(|| Readiness::new(id, None), |found| found.record.clone());
        if after.status == DeploymentStatus::NotReady {
            let Some(deployment) = self.deployment(id).await? else { return Ok(()) };
            after.queue = deployment.record.work_queue_id;
            after.enter(DeploymentStatus::Ready, now);
        }
        after.last_polled = Some(now);
        after.check = after.check.or_else(|| self.liveness.deployment_deadline(now));
        let write = match found {
            Some(found) => self.replace(&after, found.version)?,
            None => self.insert(&after)?,
        };
        // If not, another poll has noted it, or will at its next turn.
        was_written(self.commit(vec![write]).await).map(drop)
    }

    /// Notes in which queue the runs of a deployment wait, now that it has changed.
    pub async fn place_deployment(&self, deployment: DeploymentId, queue: Option<WorkQueueId>) -> Result<()> {
        retry_on_conflict(|| async {
            let write = match self.get::<Readiness>(&table::readiness(deployment)).await? {
                Some(found) if found.record.queue == queue => return Ok(()),
                None if queue.is_none() => return Ok(()),
                Some(found) => {
                    let mut after = Readiness { queue, ..found.record.clone() };
                    // Without a queue that would tell, its own timer has to.
                    if queue.is_none() && after.status == DeploymentStatus::Ready && self.liveness.enabled {
                        after.check = after.check.or_else(|| Some(Timestamp::now()));
                    }
                    self.replace(&after, found.version)?
                }
                None => self.insert(&Readiness::new(deployment, queue))?,
            };
            self.commit(vec![write]).await
        })
        .await
    }

    /// Makes deployments of `queue`, which was polled, ready: `limit` at most; says whether there are more of them.
    pub(super) async fn ready_deployments(&self, queue: WorkQueueId, limit: usize, now: Timestamp) -> Result<bool> {
        self.move_deployments(queue, DeploymentStatus::Ready, None, limit, now).await
    }

    /// Makes deployments of `queue`, which nobody has polled since `polled`, not ready: `limit` at most; says whether there
    /// are more of them.
    pub(super) async fn unready_deployments(
        &self,
        queue: WorkQueueId,
        polled: Option<Timestamp>,
        limit: usize,
        now: Timestamp,
    ) -> Result<bool> {
        self.move_deployments(queue, DeploymentStatus::NotReady, polled, limit, now).await
    }

    async fn move_deployments(
        &self,
        queue: WorkQueueId,
        to: DeploymentStatus,
        polled: Option<Timestamp>,
        limit: usize,
        now: Timestamp,
    ) -> Result<bool> {
        let group = table::deployments_of_queue(queue, to != DeploymentStatus::Ready);
        let found = self.read(Range::of_index(Index::Related, group), limit).more().await?.unwrap_or_default();
        let is_full = found.len() >= limit;
        stream::iter(found)
            .map(|item| async move {
                match Subject::of(&item.key) {
                    Some(Subject::Readiness(id)) => self.move_deployment(id, queue, to, polled, now).await,
                    _ => Ok(()),
                }
            })
            .buffer_unordered(CHANGES_AT_ONCE)
            .try_collect::<()>()
            .await?;
        Ok(is_full)
    }

    async fn move_deployment(
        &self,
        id: DeploymentId,
        queue: WorkQueueId,
        to: DeploymentStatus,
        polled: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<()> {
        retry_on_conflict(|| async {
            let Some(found) = self.get::<Readiness>(&table::readiness(id)).await? else { return Ok(()) };
            if found.record.status == to || found.record.queue != Some(queue) {
                return Ok(());
            }
            let mut after = found.record.clone();
            // What the queue tells is remembered here from now on.
            after.last_polled = after.last_polled.max(polled);
            if self.deployment(id).await?.is_none() {
                return self.commit(vec![Write::Delete(found.record.key())]).await;
            }
            after.enter(to, now);
            self.commit(vec![self.replace(&after, found.version)?]).await
        })
        .await
    }

    /// Marks the deployment under `key` as not ready if nobody has polled for its runs for too long.
    pub async fn check_deployment(&self, key: &Key, now: Timestamp) -> Result<()> {
        retry_on_conflict(|| async {
            let Some(found) = self.get::<Readiness>(key).await? else { return Ok(()) };
            let mut after = found.record.clone();
            if after.check.is_none_or(|check| check > now) {
                return Ok(());
            }
            after.check = after.last_polled.and_then(|polled| self.liveness.deployment_deadline(polled));
            if after.check.is_none_or(|deadline| deadline <= now) {
                after.check = None;
                let is_polled = match after.queue {
                    Some(queue) => self.work_queue(queue).await?.is_some_and(|found| {
                        let deadline = found.record.queue.last_polled;
                        let deadline = deadline.and_then(|polled| self.liveness.deployment_deadline(polled));
                        deadline.is_some_and(|deadline| deadline > now)
                    }),
                    None => false,
                };
                if self.deployment(after.deployment).await?.is_none() {
                    return self.commit(vec![Write::Delete(key.clone())]).await;
                }
                if !is_polled && after.status == DeploymentStatus::Ready {
                    after.enter(DeploymentStatus::NotReady, now);
                }
            }
            self.commit(vec![self.replace(&after, found.version)?]).await
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_entered_once_and_never_by_what_was_not_polled() {
        let at = |seconds: f64| "2026-01-31T09:30:00Z".parse::<Timestamp>().unwrap().plus_seconds(seconds);
        let unknown = Readiness::new(DeploymentId::new(), None);
        assert_eq!(unknown.entered_since(None), None, "a deployment begins as not ready, which is told of to nobody");
        let mut ready = unknown.clone();
        ready.enter(DeploymentStatus::Ready, at(1.0));
        assert_eq!(ready.entered_since(None), Some(at(1.0)));
        assert_eq!(ready.entered_since(Some(&unknown)), Some(at(1.0)));
        let polled_again = Readiness { last_polled: Some(at(2.0)), ..ready.clone() };
        assert_eq!(polled_again.entered_since(Some(&ready)), None);
        let mut gone = polled_again.clone();
        gone.enter(DeploymentStatus::NotReady, at(3.0));
        assert_eq!(gone.entered_since(Some(&polled_again)), Some(at(3.0)));
    }
}
