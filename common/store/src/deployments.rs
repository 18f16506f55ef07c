//! Deployments in the table, each with the concurrency limit that is its own.
//!
//! A deployment's limit is made, changed and deleted in the same transaction as the deployment. As Prefect, that is no
//! event of the limit's.

use std::collections::HashMap;

use futures::{StreamExt, TryStreamExt, stream};

use super::{
    By, CommitError, Entity, Key, Record, Store, TableAccess, Versioned, Write,
    commit::retry_on_conflict,
    query::Range,
    table::{self, Collection, Index, IndexKey, Shards, Subject},
};
use domain::{
    events::Lifecycle,
    model::{
        ConcurrencyLimit, ConcurrencyLimitId, Deployment, DeploymentId, FlowId, FlowRunId, Timestamp,
        deployment::VoidRuns,
    },
    patch::Patch,
};
use error::{Error, Result};

pub use super::deployment_query::{COUNT, COUNT_OWN, FILTER};

crate::json_record!(Deployment);

impl Record for Deployment {
    const HEAD: &'static [&'static str] =
        &["id", "created", "updated", "name", "flow_id", "flow_name", "paused", "tags", "work_queue_name"];

    fn key(&self) -> Key {
        table::deployment(self.id)
    }

    fn index_keys(&self, shards: Shards) -> Vec<IndexKey> {
        let all = shards.of(Collection::Deployments, self.id.0);
        let by_name = table::sort_with_id(&self.name, self.id);
        let mut index_keys = vec![
            IndexKey { index: Index::ByName, pk: all.clone(), sk: by_name.clone() },
            IndexKey { index: Index::Lookup, pk: all, sk: table::sort_with_id(&self.created.sortable(), self.id) },
            IndexKey { index: Index::ByParent, pk: table::deployments_of_flow(self.flow_id), sk: by_name },
        ];
        if let Some(scheduling) = &self.scheduling {
            let due = table::sort_with_id(&scheduling.due.sortable(), self.id);
            index_keys.push(IndexKey {
                index: Index::Related,
                pk: shards.of(Collection::Scheduling, self.id.0),
                sk: due,
            });
        }
        index_keys
    }
}

impl Entity for Deployment {
    type Id = DeploymentId;

    fn key_of(id: DeploymentId) -> Key {
        table::deployment(id)
    }

    fn claim(&self) -> Option<Key> {
        Some(table::unique_deployment_name(self.flow_id, &self.name))
    }
}

/// Names the deployment of `flow` called `name`.
pub fn called(flow: FlowId, name: &str) -> By<DeploymentId> {
    By::Claim(table::unique_deployment_name(flow, name))
}

/// A deployment as it is to be, and what becomes of the limit that is its own.
#[derive(Clone, Debug)]
pub struct DeploymentChange {
    /// The deployment.
    pub deployment: Deployment,
    /// How many slots the limit has; a null takes the limit away.
    pub limit: Patch<i64>,
}

/// Whether a deployment of a name was there already.
#[derive(Clone, Debug)]
pub enum Named {
    /// It was not, and this is to be added.
    New(Deployment),
    /// It was, like this.
    There(Deployment),
}

/// What [`Store::delete_void_runs`] touches.
pub const DELETE_VOID_RUNS: TableAccess = TableAccess::WRITES.via(&[Index::WaitingOfDeployment]);

impl Store {
    /// Finds the deployment `id`; nothing if there is none.
    pub async fn deployment(&self, id: DeploymentId) -> Result<Option<Versioned<Deployment>>> {
        self.find(id).await
    }

    /// Reads the deployment called `name` of the flow called `flow`.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such flow, or no such deployment of it.
    pub async fn deployment_by_names(&self, flow: &str, name: &str) -> Result<Deployment> {
        let flow = self.owner(&table::unique_flow_name(flow)).await?;
        let flow = flow.ok_or_else(|| Error::missing(Deployment::RESOURCE))?;
        Ok(self.read_one(called(flow.into(), name)).await?.record)
    }

    /// Reads the concurrency limits that `deployments` point to, those that are still there.
    pub async fn limits_of_deployments(
        &self,
        deployments: &[Deployment],
    ) -> Result<HashMap<ConcurrencyLimitId, ConcurrencyLimit>> {
        let mut keys: Vec<Key> =
            deployments.iter().filter_map(|found| found.concurrency_limit_id).map(table::concurrency_limit).collect();
        keys.sort();
        keys.dedup();
        let found = self.get_all::<ConcurrencyLimit>(&keys).await?;
        Ok(found.into_iter().map(|found| (found.record.id, found.record)).collect())
    }

    /// Gives `deployment` a limit of `wanted` slots, or none; returns what writes the limit, to be committed with it.
    ///
    /// A limit that it points to is changed or deleted even if others point to it as well, as Prefect does.
    pub async fn limit_deployment(
        &self,
        deployment: &mut Deployment,
        wanted: Option<i64>,
        now: Timestamp,
    ) -> Result<Vec<Write>> {
        let found = match deployment.concurrency_limit_id {
            Some(id) => self.concurrency_limit(id).await?,
            None => None,
        };
        Ok(match (found, wanted) {
            (Some(found), Some(slots)) if found.record.limit == slots => Vec::new(),
            (Some(found), Some(slots)) => {
                let changed = ConcurrencyLimit { limit: slots, updated: now, ..found.record };
                vec![Write::Replace(self.item(&changed, found.version + 1)?)]
            }
            (Some(found), None) => {
                deployment.concurrency_limit_id = None;
                deletion(&found)
            }
            (None, None) => {
                deployment.concurrency_limit_id = None;
                Vec::new()
            }
            (None, Some(slots)) => {
                let name = format!("deployment:{}", deployment.id);
                let limit = ConcurrencyLimit::new(ConcurrencyLimitId::new(), name, slots, now);
                deployment.concurrency_limit_id = Some(limit.id);
                vec![
                    Write::Insert(self.item(&limit, 1)?),
                    self.claim(table::unique_concurrency_limit_name(&limit.name), limit.id)?,
                ]
            }
        })
    }

    /// Adds `deployment`, together with what is `beside` it.
    pub async fn add_deployment(&self, deployment: &Deployment, beside: Vec<Write>) -> Result<(), CommitError> {
        let mut writes = self.additions(&deployment.rescheduled(None, Timestamp::now()))?;
        let limit_name = name_of_limit(&beside).map(|place| writes.len() + place);
        writes.extend(beside);
        refuse_taken(self.commit(writes).await, limit_name)
    }

    /// Replaces the deployment that was read as `before`, together with what is `beside` it; returns it as it is then.
    ///
    /// Its runs that are not due yet are void ([`Store::delete_void_runs`]).
    pub async fn replace_deployment(
        &self,
        before: &Versioned<Deployment>,
        after: &Deployment,
        beside: Vec<Write>,
    ) -> Result<Deployment, CommitError> {
        let now = Timestamp::now();
        let mut after = after.rescheduled(Some(&before.record), now);
        after.void_runs = Some(AutoScheduled::Future.of(&after, now));
        // No change of a deployment moves the claim on its name.
        let limit_name = name_of_limit(&beside).map(|place| 1 + place);
        refuse_taken(self.replace_one(before, &after, beside).await, limit_name)?;
        Ok(after)
    }

    /// Adds `new`, or changes the deployment that has its name in its flow, as `change` says; returns it as it is then, and
    /// whether it is new.
    ///
    /// `change` is called again if another request came between its read and its write.
    ///
    /// # Errors
    /// [`Error::Conflict`] if the name of a limit of its own is taken, and those of `change`.
    pub async fn put_deployment<Change: Future<Output = Result<DeploymentChange>>>(
        &self,
        new: &Deployment,
        change: impl Fn(Named) -> Change,
    ) -> Result<(Deployment, bool)> {
        retry_on_conflict(|| async {
            match self.find::<Deployment>(called(new.flow_id, &new.name)).await? {
                // With our id, the write before was carried out, only its answer was lost.
                Some(found) if found.record.id == new.id => Ok((found.record, true)),
                Some(found) => {
                    let (changed, beside) = self.limited(change(Named::There(found.record.clone())).await?).await?;
                    Ok((self.replace_deployment(&found, &changed, beside).await?, false))
                }
                None => {
                    let (new, beside) = self.limited(change(Named::New(new.clone())).await?).await?;
                    self.add_deployment(&new, beside).await?;
                    Ok((new, true))
                }
            }
        })
        .await
    }

    /// Changes the deployment `id`; returns it as it is then.
    ///
    /// `change` is called again if another request changed the deployment meanwhile.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none, [`Error::Conflict`] if the name of a limit of its own is taken, and those of
    /// `change`.
    pub async fn update_deployment<Change: Future<Output = Result<DeploymentChange>>>(
        &self,
        id: DeploymentId,
        change: impl Fn(Deployment) -> Change,
    ) -> Result<Deployment> {
        retry_on_conflict(|| async {
            let found = self.read_one::<Deployment>(id).await?;
            let (changed, beside) = self.limited(change(found.record.clone()).await?).await?;
            self.replace_deployment(&found, &changed, beside).await
        })
        .await
    }

    /// Changes the deployment `id` and tells nobody, as Prefect is silent about this; returns what `change` does.
    ///
    /// `change` is called again if another request changed the deployment meanwhile.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none, and those of `change`.
    pub async fn update_deployment_silently<T>(
        &self,
        id: DeploymentId,
        change: impl Fn(&mut Deployment) -> Result<T>,
    ) -> Result<T> {
        self.update_deployment_silently_with(id, change, &[]).await
    }

    /// Changes the deployment `id` as [`Self::update_deployment_silently`] does, and writes `beside` together with it,
    /// also if it is left as it was.
    ///
    /// # Errors
    /// Those of [`Self::update_deployment_silently`].
    pub async fn update_deployment_silently_with<T>(
        &self,
        id: DeploymentId,
        change: impl Fn(&mut Deployment) -> Result<T>,
        beside: &[Write],
    ) -> Result<T> {
        retry_on_conflict(|| async {
            let found = self.read_one::<Deployment>(id).await?;
            let mut after = found.record.clone();
            let outcome = change(&mut after)?;
            let mut writes = beside.to_vec();
            if after != found.record {
                let after = after.rescheduled(Some(&found.record), Timestamp::now());
                writes.push(self.replace(&after, found.version)?);
            }
            if !writes.is_empty() {
                self.commit(writes).await?;
            }
            Ok(outcome)
        })
        .await
    }

    /// Changes the deployment `id` and tells nobody, and makes `which` of its runs void ([`Store::delete_void_runs`]).
    ///
    /// `change` is called again if another request changed the deployment meanwhile.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none, and those of `change`.
    pub async fn reschedule_deployment(
        &self,
        id: DeploymentId,
        which: AutoScheduled,
        change: impl Fn(&mut Deployment) -> Result<()>,
    ) -> Result<Rescheduled> {
        self.reschedule_deployment_with(id, which, change, &[]).await
    }

    /// Changes the deployment `id` as [`Self::reschedule_deployment`] does, and writes `beside` together with it, also
    /// if it is left as it was.
    ///
    /// # Errors
    /// Those of [`Self::reschedule_deployment`].
    pub async fn reschedule_deployment_with(
        &self,
        id: DeploymentId,
        which: AutoScheduled,
        change: impl Fn(&mut Deployment) -> Result<()>,
        beside: &[Write],
    ) -> Result<Rescheduled> {
        retry_on_conflict(|| async {
            let found = self.read_one::<Deployment>(id).await?;
            let now = Timestamp::now();
            let mut deployment = found.record.clone();
            change(&mut deployment)?;
            let is_written = deployment != found.record;
            if is_written {
                deployment = deployment.rescheduled(Some(&found.record), now);
            }
            deployment.void_runs = Some(which.of(&deployment, now));
            let mut writes = beside.to_vec();
            if is_written {
                writes.push(self.replace(&deployment, found.version)?);
            }
            if !writes.is_empty() {
                self.commit(writes).await?;
            }
            Ok(Rescheduled { deployment, is_written })
        })
        .await
    }

    /// Deletes the deployment `id` with the limit that it points to.
    ///
    /// Its runs that never ran are deleted, and the event of its deletion is emitted, by the consumer of the table's stream.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none.
    pub async fn delete_deployment(&self, id: DeploymentId) -> Result<()> {
        let deleted = retry_on_conflict(|| async {
            let found = self.read_one::<Deployment>(id).await?;
            let mut writes = self.deletions(&found, Timestamp::now())?;
            if let Some(id) = found.record.concurrency_limit_id
                && let Some(limit) = self.concurrency_limit(id).await?
            {
                writes.extend(deletion(&limit));
            }
            self.commit(writes).await
        })
        .await;
        self.or_unreadable::<Deployment, _>(deleted, &table::deployment(id), ()).await
    }

    /// Deletes the `void` runs of the deployment `id`, which may be done again at any time.
    ///
    /// A run that a worker takes before it can be deleted stays.
    pub async fn delete_void_runs(&self, id: DeploymentId, void: VoidRuns) -> Result<()> {
        let range = Range::group(self, Index::WaitingOfDeployment, &table::runs_of_deployment(id));
        let waiting = self.read_all(range).await?;
        let ids: Vec<FlowRunId> = waiting
            .iter()
            .filter_map(|item| match Subject::of(&item.key) {
                Some(Subject::FlowRun(id)) => Some(id),
                _ => None,
            })
            .collect();
        stream::iter(ids)
            .map(|run| retry_on_conflict(move || self.delete_if_void(run, void)))
            .buffer_unordered(DELETIONS_AT_ONCE)
            .try_for_each(|_| futures::future::ok(()))
            .await
    }

    /// Deletes the run `id` if it is among the `void` ones; returns whether it is gone.
    pub async fn delete_if_void(&self, id: FlowRunId, void: VoidRuns) -> Result<bool, CommitError> {
        let Some(run) = self.flow_run(id).await? else { return Ok(true) };
        if !void.includes(&run.record) {
            return Ok(false);
        }
        let mut writes = vec![Write::DeleteVersion(table::flow_run(id), run.version)];
        if let Some(key) = &run.record.idempotency_key {
            writes.push(Write::Delete(table::unique_flow_run(run.record.flow_id, key)));
        }
        self.commit(writes).await.map(|()| true)
    }

    /// Gives the deployment the limit that `change` asks for; returns it with what writes the limit.
    async fn limited(&self, change: DeploymentChange) -> Result<(Deployment, Vec<Write>)> {
        let DeploymentChange { mut deployment, limit } = change;
        let now = deployment.updated;
        let beside = match limit {
            Patch::Absent => Vec::new(),
            Patch::Null => self.limit_deployment(&mut deployment, None, now).await?,
            Patch::Value(slots) => self.limit_deployment(&mut deployment, Some(slots), now).await?,
        };
        Ok((deployment, beside))
    }
}

/// Returns the place of the claim on a new limit's name among the writes of [`Store::limit_deployment`].
fn name_of_limit(beside: &[Write]) -> Option<usize> {
    beside.iter().rposition(|write| matches!(write, Write::Insert(_))).filter(|_| beside.len() > 1)
}

/// Says that somebody has given a limit of their own the name that a deployment's is to have, if that is why nothing was
/// written: no repetition helps then.
fn refuse_taken(outcome: Result<(), CommitError>, limit_name: Option<usize>) -> Result<(), CommitError> {
    match outcome {
        Err(CommitError::ConditionFailed(place)) if Some(place) == limit_name => {
            Err(Error::integrity_conflict().into())
        }
        outcome => outcome,
    }
}

/// How many runs are deleted at the same time.
const DELETIONS_AT_ONCE: usize = 16;

/// Which of the runs that the scheduler has made, and that have not begun, a change makes void.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AutoScheduled {
    /// All of them.
    All,
    /// Those that are not due yet.
    Future,
}

impl AutoScheduled {
    /// Names the runs that `deployment` has from before a change at `now`.
    fn of(self, deployment: &Deployment, now: Timestamp) -> VoidRuns {
        VoidRuns {
            before: deployment.scheduling.as_ref().map_or(now, |scheduling| scheduling.since),
            due_after: match self {
                Self::All => None,
                Self::Future => Some(now),
            },
        }
    }
}

/// A deployment after a request that was to change it.
#[derive(Clone, Debug)]
pub struct Rescheduled {
    /// The deployment, with the runs that are void.
    pub deployment: Deployment,
    /// Whether there was anything to change, so that it was written.
    pub is_written: bool,
}

fn deletion(limit: &Versioned<ConcurrencyLimit>) -> Vec<Write> {
    vec![
        Write::DeleteVersion(table::concurrency_limit(limit.record.id), limit.version),
        Write::Delete(table::unique_concurrency_limit_name(&limit.record.name)),
    ]
}
