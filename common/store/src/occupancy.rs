//! The flow runs that hold slots of work queues and pools.
//!
//! They are counted in a sparse index of keys: a count costs what holds a slot, however many runs wait or have ended.

use std::collections::HashMap;

use serde::Serialize;

use super::{
    Item, Key, Store, TableAccess,
    query::Range,
    table::{self, Index, Subject},
};
use domain::model::{FlowRun, FlowRunId, Seconds, StateType, Timestamp, WorkQueueId};
use error::{Error, Result};

/// What is shown of a run that holds a slot (contract schema `FlowRunSlotSummary`).
#[derive(Clone, Debug, Serialize)]
pub struct SlotSummary {
    id: FlowRunId,
    name: String,
    state_type: Option<StateType>,
    state_name: Option<String>,
    start_time: Option<Timestamp>,
    state_timestamp: Option<Timestamp>,
    time_in_current_state: Option<Seconds>,
}

impl SlotSummary {
    fn new(run: FlowRun, now: Timestamp) -> Self {
        let entered = run.state.map(|state| state.timestamp);
        Self {
            id: run.id,
            name: run.name,
            state_type: run.state_type,
            state_name: run.state_name,
            start_time: run.start_time,
            state_timestamp: entered,
            time_in_current_state: entered.map(|entered| Seconds::between(entered, now)),
        }
    }
}

/// Which runs count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holders {
    /// Pending and running ones, as where a worker polls a pool.
    Active,
    /// Those and the ones that are being cancelled, as where a queue alone is polled.
    ActiveOrCancelling,
}

/// What [`Store::occupied_slots`] and [`Store::slot_holders`] touch.
pub const SLOTS: TableAccess = TableAccess::READS.via(&[Index::Occupying]);

impl Store {
    /// Counts the runs that hold a slot of each of `queues`.
    pub async fn occupied_slots(&self, queues: &[WorkQueueId], holders: Holders) -> Result<HashMap<WorkQueueId, u64>> {
        let counts = queues.iter().map(|queue| async move {
            let counts = self.holders_of(*queue, holders).into_iter().map(|range| self.count(range));
            let counts: Vec<u64> = futures::future::try_join_all(counts).await?;
            Ok::<_, Error>((*queue, counts.into_iter().sum()))
        });
        Ok(futures::future::try_join_all(counts).await?.into_iter().collect())
    }

    /// Returns the runs that hold a slot of `queue`, by id.
    pub async fn slot_holders(&self, queue: WorkQueueId, holders: Holders) -> Result<Vec<FlowRunId>> {
        let ranges = self.holders_of(queue, holders).into_iter().map(|range| self.read_all(range));
        let items = futures::future::try_join_all(ranges).await?.into_iter().flatten();
        let run = |item: Item| match Subject::of(&item.key) {
            Some(Subject::FlowRun(id)) => Some(id),
            _ => None,
        };
        let mut runs: Vec<FlowRunId> = items.filter_map(run).collect();
        runs.sort_unstable();
        Ok(runs)
    }

    /// Returns what is shown of the runs `ids` at `now`, in their order; those that have left their slot are left out.
    pub async fn slot_summaries(&self, ids: &[FlowRunId], now: Timestamp) -> Result<Vec<SlotSummary>> {
        let keys: Vec<Key> = ids.iter().copied().map(table::flow_run).collect();
        let runs = self.get_many::<FlowRun>(&keys).await?;
        Ok(runs.into_iter().map(|found| SlotSummary::new(found.record, now)).collect())
    }

    fn holders_of(&self, queue: WorkQueueId, holders: Holders) -> Vec<Range> {
        let mut groups = vec![table::active_runs_of_work_queue(queue)];
        if holders == Holders::ActiveOrCancelling {
            groups.push(table::cancelling_runs_of_work_queue(queue));
        }
        groups.iter().map(|group| Range::group(self, Index::Occupying, group)).collect()
    }
}
