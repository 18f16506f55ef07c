//! Task runs in the table.

use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};

use super::{
    CommitError, Item, Key, Record, Store, TableAccess, Versioned, Write, backend,
    commit::{self, retry_on_conflict},
    query::{Direction, Range},
    slots::Slots,
    states::StatefulRun,
    table::{self, Collection, Index, IndexKey, Shards},
};
use domain::model::{
    FlowRun, FlowRunId, RunSummary, State, StateId, TaskRun, TaskRunId, Timestamp, concurrency_limit::LongestWaits,
};
use error::{Error, Result};

crate::json_record!(TaskRun);

impl Record for TaskRun {
    const HEAD: &'static [&'static str] = &[
        "id",
        "created",
        "updated",
        "name",
        "flow_run_id",
        "task_key",
        "dynamic_key",
        "tags",
        "state_type",
        "state_name",
        "expected_start_time",
        "next_scheduled_start_time",
        "start_time",
        "end_time",
        "total_run_time",
    ];

    const SPARSE: &'static [&'static str] = &["state", "past"];

    fn key(&self) -> Key {
        table::task_run(self.id)
    }

    fn index_keys(&self, shards: Shards) -> Vec<IndexKey> {
        let all = shards.of(Collection::TaskRuns, self.id.0);
        let by_time = |time| table::sort_with_id(&table::time_or_null(time), self.id);
        let expected = by_time(self.expected_start_time);
        let mut index_keys = vec![
            IndexKey { index: Index::ByTime, pk: all.clone(), sk: expected.clone() },
            IndexKey { index: Index::ByEnd, pk: all.clone(), sk: by_time(self.end_time) },
            IndexKey { index: Index::ByName, pk: all.clone(), sk: table::sort_with_id(&self.name, self.id) },
            IndexKey { index: Index::Lookup, pk: all.clone(), sk: self.id.to_string() },
        ];
        if let Some(next) = self.next_scheduled_start_time {
            index_keys.push(IndexKey { index: Index::ByNextStart, pk: all, sk: by_time(Some(next)) });
        }
        if let Some(flow_run) = self.flow_run_id {
            let pk = shards.within(&table::runs_in_flow_run(flow_run), self.id.0);
            index_keys.push(IndexKey { index: Index::ByParent, pk, sk: expected });
        }
        // The event with the id of its last state, which its answers name, is gone some time later.
        let ended_in = self.state.as_ref().filter(|state| state.is_terminal() && !self.past.has_current_apart());
        if let Some(state) = ended_in.filter(|state| !self.is_told_by(state.id)) {
            let pk = table::state_lookup(state.id);
            index_keys.push(IndexKey { index: Index::Related, pk, sk: self.id.to_string() });
        }
        index_keys
    }

    fn brief(&self) -> Option<String> {
        Some(RunSummary::from(self).to_string())
    }
}

/// What [`Store::task_runs_of`] touches.
pub const OF_FLOW_RUN: TableAccess = TableAccess::READS.via(&[Index::ByParent]);

/// What [`Store::delete_task_run`] touches.
pub const DELETE: TableAccess = TableAccess::WRITES.via(&[Index::Related]);

/// How many subflow runs lose their parent at the same time.
const ORPHANS_AT_ONCE: usize = 8;

impl Store {
    /// Reads the task run `id`.
    pub async fn task_run(&self, id: TaskRunId) -> Result<Option<Versioned<TaskRun>>> {
        self.get(&table::task_run(id)).await
    }

    /// Changes what the task run `id` says besides its state.
    ///
    /// # Errors
    /// [`error::Error::NotFound`] if there is none.
    pub async fn update_task_run(&self, id: TaskRunId, change: impl Fn(&mut TaskRun) + Sync) -> Result<()> {
        let change = |run: &mut TaskRun| {
            change(run);
            Ok(())
        };
        self.change(&table::task_run(id), "task-run", change).await.map(drop)
    }

    /// Reads the task run at its place in a flow run.
    pub async fn task_run_by_key(
        &self,
        flow_run: Option<FlowRunId>,
        task_key: &str,
        dynamic_key: &str,
    ) -> Result<Option<Versioned<TaskRun>>> {
        match self.owner(&table::unique_task_run(flow_run, task_key, dynamic_key)).await? {
            Some(id) => self.task_run(id.into()).await,
            None => Ok(None),
        }
    }

    /// Reads the task runs of a flow run.
    pub async fn task_runs_of(&self, flow_run: FlowRunId) -> Result<Vec<Versioned<TaskRun>>> {
        let items = self.read_all(Range::group(self, Index::ByParent, &table::runs_in_flow_run(flow_run))).await?;
        Ok(super::versioned(&items))
    }

    /// Deletes the task run `id` with its states and its claim, and gives the slots back that it holds, at `now`; returns
    /// whether there was such a run.
    ///
    /// The flow runs that it stands for have no parent from then on. Its logs are deleted by the consumer of the
    /// table's stream.
    pub async fn delete_task_run(&self, id: TaskRunId, now: Timestamp, longest: LongestWaits) -> Result<bool> {
        let mut is_tried = false;
        for attempt in 0..commit::ATTEMPTS {
            let run = match self.task_run(id).await {
                Ok(Some(run)) => run,
                Ok(None) => return Ok(is_tried),
                Err(error) => return self.or_unreadable::<TaskRun, _>(Err(error), &table::task_run(id), true).await,
            };
            let mut writes = vec![Write::DeleteVersion(run.record.key(), run.version)];
            let claim = table::unique_task_run(run.record.flow_run_id, &run.record.task_key, &run.record.dynamic_key);
            if self.owner(&claim).await? == Some(id.0) {
                writes.push(Write::Delete(claim));
            }
            self.orphan_subflows(&run.record).await?;
            let mut slots = Slots::new(self, now, longest);
            for lease in self.leases_held_by(id).await? {
                slots.release(lease).await?;
            }
            writes.extend(slots.into_writes()?);
            let states = self.read_all(Range::partition(run.record.key().pk).starting_with(table::STATES)).await?;
            let mut states: Vec<Write> = states.into_iter().map(|state| Write::Delete(state.key)).collect();
            // The run goes with its last states, so that a failure before leaves a run that can be deleted again.
            while writes.len() + states.len() > backend::LARGEST_TRANSACTION {
                let rest = states.split_off(states.len().min(backend::LARGEST_TRANSACTION));
                self.commit(std::mem::replace(&mut states, rest)).await?;
            }
            writes.extend(states);
            is_tried = true;
            match self.commit(writes).await {
                Ok(()) => return Ok(true),
                Err(CommitError::Failed(error)) => return Err(error),
                Err(CommitError::ConditionFailed(_) | CommitError::Contended) => commit::back_off(attempt).await,
            }
        }
        Err(Error::Unavailable("too many requests write the same task run".into()))
    }

    /// Returns where the flow runs are that `parent` stands for.
    pub(super) fn subflows(parent: &TaskRun) -> Range {
        Range::of_index(Index::Related, table::subflows_of_task_run(parent.flow_run_id, parent.id))
            .starting_with(parent.id.to_string())
    }

    /// Takes the parent away from the flow runs that `parent` stands for, however many these are.
    async fn orphan_subflows(&self, parent: &TaskRun) -> Result<()> {
        let found = self.read_all(Self::subflows(parent)).await?;
        let orphan = |key: Key| {
            retry_on_conflict(move || {
                let key = key.clone();
                async move {
                    let Some(Versioned { mut record, version }) = self.get::<FlowRun>(&key).await? else {
                        return Ok(());
                    };
                    (record.parent_task_run_id, record.parent_flow_run_id) = (None, None);
                    self.commit(vec![self.replace(&record, version)?]).await
                }
            })
        };
        stream::iter(found).map(|item| orphan(item.key)).buffer_unordered(ORPHANS_AT_ONCE).try_collect().await
    }

    /// Sets the run count of the task run `id` back to 0.
    pub async fn reset_run_count(&self, id: TaskRunId) -> Result<()> {
        retry_on_conflict(|| async {
            let Some(mut run) = self.task_run(id).await? else { return Ok(()) };
            run.record.run_count = 0;
            self.commit(vec![self.replace(&run.record, run.version)?]).await
        })
        .await
    }

    /// Reads the newest state that is cached under `cache_key` and has not expired.
    ///
    /// A state that went with its run is no longer cached.
    pub async fn cached_state(&self, cache_key: &str) -> Result<Option<State>> {
        let newest_first = Range::partition(table::cached_states(cache_key)).in_direction(Direction::Descending);
        let mut reader = self.read(newest_first, CACHED_AT_ONCE);
        let now = Timestamp::now();
        while let Some(items) = reader.more().await? {
            for cached in items.iter().filter_map(Item::readable::<CachedState>) {
                if cached.expiration.is_none_or(|time| time > now) {
                    return self.state_at(&cached.run, cached.timestamp, cached.id).await;
                }
            }
        }
        Ok(None)
    }

    /// Returns the write that caches `state` of the run under the key `run` under `cache_key`, until `expiration` if
    /// there is one.
    pub fn cache_state(
        &self,
        cache_key: &str,
        expiration: Option<Timestamp>,
        run: &Key,
        state: &State,
    ) -> Result<Write> {
        let cached = CachedState {
            cache_key: cache_key.to_owned(),
            expiration,
            run: run.clone(),
            timestamp: state.timestamp,
            id: state.id,
        };
        let mut item = Item::of(&cached, 1, self.shards())?;
        item.expires = expiration.map(Timestamp::as_seconds);
        Ok(Write::Put(item))
    }
}

/// How many cached states are read at once: all but the newest matter only once it has expired.
const CACHED_AT_ONCE: usize = 3;

/// Says which completed state of a task serves the runs with the same cache key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct CachedState {
    cache_key: String,
    expiration: Option<Timestamp>,
    run: Key,
    timestamp: Timestamp,
    id: StateId,
}

crate::json_record!(CachedState);

impl Record for CachedState {
    const HEAD: &'static [&'static str] = &["cache_key", "expiration"];

    fn key(&self) -> Key {
        table::cached_state(&self.cache_key, self.timestamp, self.id)
    }

    fn index_keys(&self, _shards: Shards) -> Vec<IndexKey> {
        Vec::new()
    }
}
