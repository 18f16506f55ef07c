//! Deployments in the table, each with the concurrency limit that is its own.
//!
//! A deployment's limit is made, changed and deleted in the same transaction as the deployment. As Prefect, that is no
//! event of the limit's.

use std::{collections::HashMap, time::Duration};

use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    CommitError, Item, Key, Record, Store, Versioned, Write,
    commit::retry_on_conflict,
    query::Range,
    table::{self, Collection, Index, IndexKey, Shards, Subject},
};
use domain::model::{
    ConcurrencyLimit, ConcurrencyLimitId, Deployment, DeploymentId, FlowId, FlowRun, FlowRunId, StateType, Timestamp,
};
use error::{Error, Result};

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

impl Store {
    /// Reads the deployment `id`.
    pub async fn deployment(&self, id: DeploymentId) -> Result<Option<Versioned<Deployment>>> {
        self.get(&table::deployment(id)).await
    }

    /// Reads the deployment of `flow` called `name`.
    pub async fn deployment_by_name(&self, flow: FlowId, name: &str) -> Result<Option<Versioned<Deployment>>> {
        match self.owner(&table::unique_deployment_name(flow, name)).await? {
            Some(id) => self.deployment(id.into()).await,
            None => Ok(None),
        }
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
        let found = self.get_many::<ConcurrencyLimit>(&keys).await?;
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
        let claim = self.claim(table::unique_deployment_name(deployment.flow_id, &deployment.name), deployment.id)?;
        let mut item = self.item(&deployment.rescheduled(None, Timestamp::now()), 1)?;
        item.announced = Some(item.version);
        self.commit_deployment(vec![Write::Insert(item), claim], beside).await
    }

    /// Replaces a deployment that was read as `before`, together with what is `beside` it.
    ///
    /// What the stream's consumer has to tell of the change is written with it.
    pub async fn update_deployment(
        &self,
        before: &Versioned<Deployment>,
        after: &Deployment,
        beside: Vec<Write>,
    ) -> Result<(), CommitError> {
        let mut item = self.item(&after.rescheduled(Some(&before.record), Timestamp::now()), before.version + 1)?;
        let changes = changes(&before.record, after);
        if !changes.is_empty() {
            item.announced = Some(item.version);
            item.previous = Some(serde_json::to_string(&changes).map_err(Error::from)?);
        }
        self.commit_deployment(vec![Write::Replace(item)], beside).await
    }

    /// Replaces a deployment that was read as `before`, and tells nobody: Prefect is silent about what this changes.
    pub async fn update_deployment_silently(
        &self,
        before: &Versioned<Deployment>,
        after: &Deployment,
    ) -> Result<(), CommitError> {
        let after = after.rescheduled(Some(&before.record), Timestamp::now());
        self.commit(vec![self.replace(&after, before.version)?]).await
    }

    /// Deletes a deployment with the limit that it points to.
    ///
    /// Its runs that never ran are deleted, and the event of its deletion is emitted, by the consumer of the table's stream.
    pub async fn delete_deployment(&self, found: Versioned<Deployment>) -> Result<(), CommitError> {
        let Versioned { record: deployment, version } = found;
        let mut writes = vec![
            Write::DeleteVersion(table::deployment(deployment.id), version),
            Write::Delete(table::unique_deployment_name(deployment.flow_id, &deployment.name)),
        ];
        if let Some(id) = deployment.concurrency_limit_id
            && let Some(limit) = self.concurrency_limit(id).await?
        {
            writes.extend(deletion(&limit));
        }
        let deleted = DeletedDeployment { deployment, deleted: Timestamp::now() };
        let mut notice = Item::of(&deleted, 1, self.shards())?;
        notice.expires = Some(deleted.deleted.plus(NOTICE_KEPT).as_seconds());
        writes.push(Write::Put(notice));
        self.commit(writes).await
    }

    /// Deletes the runs of the deployment `id` that the scheduler made before it was last changed and that have not begun.
    ///
    /// A run that a worker takes before it can be deleted stays, and so does one that was made since the change.
    pub async fn delete_scheduled_runs(&self, id: DeploymentId, which: AutoScheduled) -> Result<()> {
        let changed = self.deployment(id).await?.and_then(|found| found.record.scheduling);
        let before = changed.map_or_else(Timestamp::now, |scheduling| scheduling.since);
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
            .map(|run| retry_on_conflict(move || self.delete_if_void(run, which, before)))
            .buffer_unordered(DELETIONS_AT_ONCE)
            .try_for_each(|_| futures::future::ok(()))
            .await
    }

    /// Deletes the run `id` if it is one of `which` and was made before `before`; returns whether it is gone.
    pub async fn delete_if_void(
        &self,
        id: FlowRunId,
        which: AutoScheduled,
        before: Timestamp,
    ) -> Result<bool, CommitError> {
        let Some(run) = self.flow_run(id).await? else { return Ok(true) };
        if run.record.created >= before || !which.includes(&run.record) {
            return Ok(false);
        }
        let mut writes = vec![Write::DeleteVersion(table::flow_run(id), run.version)];
        if let Some(key) = &run.record.idempotency_key {
            writes.push(Write::Delete(table::unique_flow_run(run.record.flow_id, key)));
        }
        self.commit(writes).await.map(|()| true)
    }

    async fn commit_deployment(&self, mut writes: Vec<Write>, beside: Vec<Write>) -> Result<(), CommitError> {
        let name_of_limit =
            beside.iter().rposition(|write| matches!(write, Write::Insert(_))).filter(|_| beside.len() > 1);
        let name_of_limit = name_of_limit.map(|place| writes.len() + place);
        writes.extend(beside);
        match self.commit(writes).await {
            // Somebody has given a limit of their own the name that this deployment's is to have.
            Err(CommitError::ConditionFailed(place)) if Some(place) == name_of_limit => {
                Err(Error::integrity_conflict().into())
            }
            outcome => outcome,
        }
    }
}

/// How many runs are deleted at the same time.
const DELETIONS_AT_ONCE: usize = 16;

/// Which of the runs that the scheduler has made and that have not begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AutoScheduled {
    /// All of them.
    All,
    /// Those that are due after this instant.
    After(Timestamp),
}

impl AutoScheduled {
    /// Says whether `run` is among them; one that waits for a slot has begun.
    fn includes(self, run: &FlowRun) -> bool {
        let is_waiting = run.auto_scheduled
            && run.state_type == Some(StateType::Scheduled)
            && run.state_name.as_deref() != Some("AwaitingConcurrencySlot")
            && run.run_count == 0;
        is_waiting
            && match self {
                Self::All => true,
                Self::After(instant) => run.next_scheduled_start_time.is_some_and(|due| due > instant),
            }
    }
}

fn deletion(limit: &Versioned<ConcurrencyLimit>) -> Vec<Write> {
    vec![
        Write::DeleteVersion(table::concurrency_limit(limit.record.id), limit.version),
        Write::Delete(table::unique_concurrency_limit_name(&limit.record.name)),
    ]
}

/// The fields whose changes are told of (Prefect's `DEPLOYMENT_EVENT_FIELDS`), by their names in its events.
const TOLD: [(&str, &str); 15] = [
    ("description", "description"),
    ("tags", "tags"),
    ("parameters", "parameters"),
    ("parameter_openapi_schema", "parameter_openapi_schema"),
    ("enforce_parameter_schema", "enforce_parameter_schema"),
    ("entrypoint", "entrypoint"),
    ("path", "path"),
    ("pull_steps", "pull_steps"),
    ("work_queue_id", "work_queue_id"),
    ("job_variables", "infra_overrides"),
    ("paused", "paused"),
    ("labels", "labels"),
    ("version", "version"),
    ("concurrency_limit_id", "concurrency_limit_id"),
    ("concurrency_options", "concurrency_options"),
];

/// Returns each changed field with what it was and what it is.
fn changes(before: &Deployment, after: &Deployment) -> Map<String, Value> {
    let (before, after) = (json!(before), json!(after));
    TOLD.into_iter()
        .filter(|(field, _)| before.get(field) != after.get(field))
        .map(|(field, told)| (told.to_owned(), json!({ "from": before.get(field), "to": after.get(field) })))
        .collect()
}

/// How long a deleted deployment is remembered: as long as DynamoDB keeps what its stream has to tell.
const NOTICE_KEPT: Duration = Duration::from_hours(24);

/// What is kept of a deleted deployment for the stream's consumer, because the stream tells no more of it than its key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeletedDeployment {
    /// The deployment as it was last.
    pub deployment: Deployment,
    /// When it was deleted.
    pub deleted: Timestamp,
}

impl Record for DeletedDeployment {
    const HEAD: &'static [&'static str] = &["deleted"];

    fn key(&self) -> Key {
        table::deleted_deployment(self.deployment.id)
    }

    fn index_keys(&self, _shards: Shards) -> Vec<IndexKey> {
        Vec::new()
    }
}
