//! Flow runs in the table.

use std::sync::atomic::{AtomicBool, Ordering};

use super::{
    Key, Record, Store, Versioned, Write,
    commit::retry_on_conflict,
    select::AHEAD,
    slots::Slots,
    table::{self, Collection, Index, IndexKey, Shards},
    unstarted,
};
use domain::{
    filter::flow_run::started_or_expected,
    model::{FlowId, FlowRun, FlowRunId, Object, RunSummary, StateType, Timestamp, concurrency_limit::LongestWaits},
};
use error::{Error, Result};

crate::json_record!(FlowRun);

impl Record for FlowRun {
    const HEAD: &'static [&'static str] = &[
        "id",
        "created",
        "updated",
        "name",
        "flow_id",
        "deployment_id",
        "work_queue_id",
        "work_queue_name",
        "work_pool_id",
        "flow_version",
        "idempotency_key",
        "tags",
        "parent_task_run_id",
        "parent_flow_run_id",
        "state_type",
        "state_name",
        "expected_start_time",
        "next_scheduled_start_time",
        "start_time",
        "end_time",
        "total_run_time",
        "created_by",
    ];

    const SPARSE: &'static [&'static str] = &["state", "past", "created_by"];

    fn key(&self) -> Key {
        table::flow_run(self.id)
    }

    fn index_keys(&self, shards: Shards) -> Vec<IndexKey> {
        let all = shards.of(Collection::FlowRuns, self.id.0);
        let waits_in = unstarted::waits_in(self);
        let by_time = |time| table::sort_with_id(&table::time_or_null(time), self.id);
        let beside = |time| unstarted::placed(&by_time(time));
        // What is by start time, of a run that has no place of its own there, is nothing but its place by state.
        let started = match (waits_in, self.state_type) {
            (None, Some(StateType::Pending)) => beside(started_or_expected(self)),
            _ => by_time(started_or_expected(self)),
        };
        let is_scheduled = waits_in == Some(StateType::Scheduled);
        let next = self.next_scheduled_start_time;
        let next = next.is_some().then(|| if is_scheduled { by_time(next) } else { beside(next) });
        let mut index_keys = vec![
            IndexKey { index: Index::ByTime, pk: all.clone(), sk: by_time(self.expected_start_time) },
            IndexKey { index: Index::ByName, pk: all.clone(), sk: table::sort_with_id(&self.name, self.id) },
            IndexKey { index: Index::Lookup, pk: all.clone(), sk: self.id.to_string() },
        ];
        let ended = self.end_time.map(|time| by_time(Some(time)));
        let at_times = [(Index::ByNextStart, next.clone()), (Index::ByEnd, ended)];
        index_keys
            .extend(at_times.into_iter().filter_map(|(index, sk)| Some(IndexKey { index, pk: all.clone(), sk: sk? })));
        let mut grouped = |index: Index, group: String, sk: String| {
            index_keys.push(IndexKey { index, pk: shards.of_groups_in(index).within(&group, self.id.0), sk });
        };
        grouped(Index::ByParent, table::runs_of_flow(self.flow_id), by_time(kept_place(self)));
        if let Some(r#type) = self.state_type.filter(|_| !is_scheduled) {
            grouped(Index::ByState, table::runs_in_state(r#type), started.clone());
        }
        if waits_in.is_none() {
            grouped(Index::ByStart, Collection::FlowRuns.name().to_owned(), started.clone());
            if let Some(queue) = self.work_queue_id {
                grouped(Index::ByWorkQueue, table::runs_of_work_queue(queue), started.clone());
            }
            if let Some(deployment) = self.deployment_id {
                grouped(Index::ByDeployment, table::runs_of_deployment(deployment), started);
            }
        }
        match (self.work_queue_id, self.state_type) {
            (Some(queue), Some(StateType::Pending | StateType::Running)) => {
                grouped(Index::Occupying, table::active_runs_of_work_queue(queue), self.id.to_string());
            }
            (Some(queue), Some(StateType::Cancelling)) => {
                grouped(Index::Occupying, table::cancelling_runs_of_work_queue(queue), self.id.to_string());
            }
            _ => {}
        }
        if let Some(next) = next.filter(|_| self.state_type == Some(StateType::Scheduled)) {
            if let Some(queue) = self.work_queue_id {
                grouped(Index::WaitingInQueue, table::runs_of_work_queue(queue), next.clone());
            }
            let group = self.deployment_id.map_or_else(|| table::runs_of_flow(self.flow_id), table::runs_of_deployment);
            grouped(Index::WaitingOfDeployment, group, next);
        }
        if let Some(parent) = self.parent_task_run_id {
            let pk = table::subflows_of_task_run(self.parent_flow_run_id, parent);
            index_keys.push(IndexKey {
                index: Index::Related,
                pk,
                sk: table::sort_with_id(&parent.to_string(), self.id),
            });
        } else if let Some(due) = self.past.due {
            let pk = shards.of(Collection::Timers, self.id.0);
            index_keys.push(IndexKey { index: Index::Related, pk, sk: table::sort_with_id(&due.sortable(), self.id) });
        }
        index_keys
    }

    fn order_in(&self, index: Index) -> Option<String> {
        let is_nearly_in_order = index == Index::ByParent;
        is_nearly_in_order.then(|| table::sort_with_id(&table::time_or_null(started_or_expected(self)), self.id))
    }

    /// A run that has ended is deleted some time later; a subflow run goes with the run around it.
    fn expires(&self, retention: f64) -> Option<Timestamp> {
        let has_ended = self.state_type.is_some_and(StateType::is_terminal) && self.parent_task_run_id.is_none();
        self.end_time.filter(|_| has_ended).map(|ended| ended.plus_seconds(retention))
    }

    fn brief(&self) -> Option<String> {
        Some(RunSummary::from(self).to_string())
    }
}

/// Returns the time by which a run has its place among those of its flow: when it was to start, if it starts soon after.
fn kept_place(run: &FlowRun) -> Option<Timestamp> {
    let Some(start) = run.start_time else { return run.expected_start_time };
    let is_soon = |expected: &Timestamp| (0.0..=AHEAD).contains(&start.seconds_since(*expected));
    run.expected_start_time.filter(is_soon).or(Some(start))
}

/// What was found under an idempotency key.
#[derive(Clone, Debug)]
pub enum KeyHolder {
    /// The key is free.
    Nobody,
    /// A flow run has it.
    Run(Box<FlowRun>),
    /// A flow run has it that is about to be made, or was given up; its id and the version of its claim.
    Promised(FlowRunId, u64),
    /// A flow run had it that has expired since; the version of its claim.
    Gone(u64),
}

impl Store {
    /// Reads the flow run `id`.
    pub async fn flow_run(&self, id: FlowRunId) -> Result<Option<Versioned<FlowRun>>> {
        self.get(&table::flow_run(id)).await
    }

    /// Adds `labels` to those of the flow run `id`.
    ///
    /// # Errors
    /// [`Error::NoSuchRun`] if there is none.
    pub async fn add_flow_run_labels(&self, id: FlowRunId, labels: &Object, now: Timestamp) -> Result<()> {
        let add = |run: &mut FlowRun| {
            run.labels.extend(labels.clone());
            run.updated = now;
            Ok(())
        };
        match self.change(&table::flow_run(id), "flow-run", add).await {
            Err(Error::NotFound(_)) => Err(Error::no_such_run("Flow run", id)),
            outcome => outcome.map(drop),
        }
    }

    /// Looks for the flow run of `flow` under its idempotency key, at `now`.
    pub async fn flow_run_by_key(&self, flow: FlowId, idempotency_key: &str, now: Timestamp) -> Result<KeyHolder> {
        let Some(claim) = self.claim_on(&table::unique_flow_run(flow, idempotency_key)).await? else {
            return Ok(KeyHolder::Nobody);
        };
        let owner = claim.record.owner.into();
        Ok(match self.flow_run(owner).await? {
            Some(run) => KeyHolder::Run(Box::new(run.record)),
            None if claim.record.is_open(now) => KeyHolder::Promised(owner, claim.version),
            None => KeyHolder::Gone(claim.version),
        })
    }

    /// Deletes the flow run `id`, and gives the slot back that it holds, at `now`; returns whether there was such a run.
    ///
    /// What else belongs to it is deleted by the consumer of the table's stream.
    pub async fn delete_flow_run(&self, id: FlowRunId, now: Timestamp, longest: LongestWaits) -> Result<bool> {
        self.delete_flow_run_with(id, now, longest, &[]).await
    }

    /// Deletes a flow run as [`Self::delete_flow_run`] does, and writes `beside` together with that.
    ///
    /// # Errors
    /// Those of [`Self::delete_flow_run`].
    pub async fn delete_flow_run_with(
        &self,
        id: FlowRunId,
        now: Timestamp,
        longest: LongestWaits,
        beside: &[Write],
    ) -> Result<bool> {
        let is_tried = AtomicBool::new(false);
        let deleted = retry_on_conflict(|| async {
            // Where the run was there before, it is gone now, by this request or by another.
            let Some(run) = self.flow_run(id).await? else { return Ok(is_tried.load(Ordering::Relaxed)) };
            let mut writes = vec![Write::DeleteVersion(table::flow_run(id), run.version)];
            if let Some(key) = &run.record.idempotency_key {
                writes.push(Write::Delete(table::unique_flow_run(run.record.flow_id, key)));
            }
            if let Some(lease) = run.record.held_lease {
                let mut slots = Slots::new(self, now, longest);
                slots.release(lease).await?;
                writes.extend(slots.into_writes()?);
            }
            writes.extend_from_slice(beside);
            is_tried.store(true, Ordering::Relaxed);
            self.commit(writes).await.map(|()| true)
        })
        .await;
        self.or_unreadable::<FlowRun, _>(deleted, &table::flow_run(id), true).await
    }
}
