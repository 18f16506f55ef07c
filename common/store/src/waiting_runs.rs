//! The flow runs that wait to be picked up, by when they are due.
//!
//! A poll reads the keys of as many runs as it may hand out, and then the runs: both cost what is asked for, however many
//! runs wait. The indexes may lag behind the table, so a run that has been picked up meanwhile is left out here; and
//! what two polls hand out, only one worker can start, because entering a state is conditional.

use std::collections::VecDeque;

use super::{
    Item, Key, Store, TableAccess,
    entity::Each,
    query::{Range, Reader},
    select::Source,
    table::{self, Index},
};
use domain::model::{DeploymentId, FlowId, FlowRun, RetryType, StateType, Timestamp, WorkQueueId};
use error::Result;

/// From when to when runs are due that are asked for, both inclusive.
#[derive(Clone, Copy, Debug, Default)]
pub struct Due {
    /// The earliest time.
    pub after: Option<Timestamp>,
    /// The latest time.
    pub before: Option<Timestamp>,
}

impl Due {
    fn range(&self, range: Range) -> Range {
        range.between(self.after.map(Timestamp::sortable), self.before.map(Timestamp::sortable))
    }

    fn contains(&self, time: Timestamp) -> bool {
        self.after.is_none_or(|after| time >= after) && self.before.is_none_or(|before| time <= before)
    }
}

/// A queue to be polled, and how many of its runs may be handed out.
#[derive(Clone, Copy, Debug)]
pub struct OpenQueue {
    /// The queue.
    pub queue: WorkQueueId,
    /// How many slots it has left.
    pub slots: usize,
}

/// What [`Store::waiting_of_deployments`] touches.
pub const OF_DEPLOYMENTS: TableAccess = TableAccess::READS.via(&[Index::WaitingOfDeployment]);

/// What [`Store::waiting_in_queues`], [`Store::waiting_in_queue`] and [`Store::count_late_runs`] touch.
pub const IN_QUEUES: TableAccess = TableAccess::READS.via(&[Index::WaitingInQueue]);

/// What [`Store::next_run_of_flow`] touches.
pub const NEXT_OF_FLOW: TableAccess = OF_DEPLOYMENTS.via(&[Index::ByParent]);

/// A run that waits, and the place of its queue in the list that was polled.
type Waiting = (usize, FlowRun);

impl Store {
    /// Returns up to `limit` runs that wait in `queues`: queue by queue in this order, those that are due first.
    ///
    /// A run that its own process is about to retry is for no worker.
    pub async fn waiting_in_queues(&self, queues: &[OpenQueue], due: Due, limit: usize) -> Result<Vec<Waiting>> {
        let sources = queues.iter().map(|open| {
            let group = table::runs_of_work_queue(open.queue);
            Places::new(self, due.range(Range::group(self, Index::WaitingInQueue, &group)), open.slots.min(limit))
        });
        let is_for_workers = |run: &FlowRun| run.empirical_policy.retry_type != Some(RetryType::InProcess);
        self.waiting(sources.collect(), due, limit, is_for_workers).await
    }

    /// Returns up to `limit` runs that wait in `queue`, whoever is to start them, those that are due first.
    pub async fn waiting_in_queue(&self, queue: WorkQueueId, due: Due, limit: usize) -> Result<Vec<FlowRun>> {
        let group = table::runs_of_work_queue(queue);
        let source = Places::new(self, due.range(Range::group(self, Index::WaitingInQueue, &group)), limit);
        let found = self.waiting(vec![source], due, limit, |_| true).await?;
        Ok(found.into_iter().map(|(_, run)| run).collect())
    }

    /// Returns up to `limit` runs of `deployments` that wait, those that are due first.
    pub async fn waiting_of_deployments(
        &self,
        deployments: &[DeploymentId],
        due: Due,
        limit: usize,
    ) -> Result<Vec<FlowRun>> {
        let groups = deployments.iter().map(|id| table::runs_of_deployment(*id));
        let shards = self.shards().of_groups_in(Index::WaitingOfDeployment);
        let partitions = groups.flat_map(|group| shards.all_within(&group)).collect();
        let range = Range { partitions, ..Range::of_index(Index::WaitingOfDeployment, "") };
        let source = Places::new(self, due.range(range), limit);
        let found = self.waiting(vec![source], due, limit, |_| true).await?;
        Ok(found.into_iter().map(|(_, run)| run).collect())
    }

    /// Returns the run of `flow` that is due first.
    ///
    /// It is looked for among the runs of each of the flow's deployments, and those of none. So a run that a client made
    /// under another flow's deployment is not found, nor one whose deployment is gone.
    pub async fn next_run_of_flow(&self, flow: FlowId) -> Result<Option<FlowRun>> {
        let deployments = self.read_all(Range::of_index(Index::ByParent, table::deployments_of_flow(flow))).await?;
        let groups = deployments.iter().filter_map(|item| match table::Subject::of(&item.key) {
            Some(table::Subject::Deployment(id)) => Some(table::runs_of_deployment(id)),
            _ => None,
        });
        let shards = self.shards().of_groups_in(Index::WaitingOfDeployment);
        let groups = groups.chain([table::runs_of_flow(flow)]);
        let partitions = groups.flat_map(|group| shards.all_within(&group)).collect();
        let range = Range { partitions, ..Range::of_index(Index::WaitingOfDeployment, "") };
        let sources = vec![Places::new(self, range, 1)];
        let found = self.waiting(sources, Due::default(), 1, |run| run.flow_id == flow).await?;
        Ok(found.into_iter().map(|(_, run)| run).next())
    }

    /// Counts the runs of `queue` that are late at `now`.
    pub async fn count_late_runs(&self, queue: WorkQueueId, now: Timestamp) -> Result<u64> {
        let group = table::runs_of_work_queue(queue);
        let overdue = Due { after: None, before: Some(now) }.range(Range::group(self, Index::WaitingInQueue, &group));
        self.select_count(Source::Ordered(overdue), &mut Each(Some(is_late))).await
    }

    async fn waiting(
        &self,
        mut sources: Vec<Places<'_>>,
        due: Due,
        limit: usize,
        is_wanted: impl Fn(&FlowRun) -> bool,
    ) -> Result<Vec<Waiting>> {
        let is_waiting = |run: &FlowRun| {
            run.state_type == Some(StateType::Scheduled)
                && run.next_scheduled_start_time.is_some_and(|time| due.contains(time))
                && is_wanted(run)
        };
        let mut found = Vec::new();
        while found.len() < limit {
            futures::future::try_join_all(sources.iter_mut().map(Places::fill)).await?;
            let chosen = choose(&mut sources, limit - found.len());
            if chosen.is_empty() {
                break;
            }
            let keys: Vec<Key> = chosen.iter().map(|(_, key)| key.clone()).collect();
            for run in self.get_many::<FlowRun>(&keys).await? {
                let key = table::flow_run(run.record.id);
                let place = chosen.iter().find(|(_, chosen)| *chosen == key).map(|(place, _)| *place);
                if let (Some(place), true) = (place, is_waiting(&run.record)) {
                    if let Some(source) = sources.get_mut(place) {
                        source.left = source.left.saturating_sub(1);
                    }
                    found.push((place, run.record));
                }
            }
        }
        // Those that took the place of a run that was gone came later, and stand with their queue.
        found.sort_by_key(|(place, _)| *place);
        Ok(found)
    }
}

fn is_late(run: &FlowRun) -> bool {
    run.state_name.as_deref() == Some("Late")
}

/// Takes the keys of the next runs, `wanted` at most.
fn choose(sources: &mut [Places<'_>], wanted: usize) -> Vec<(usize, Key)> {
    let mut chosen = Vec::new();
    for (place, source) in sources.iter_mut().enumerate() {
        let take = source.left.min(wanted - chosen.len()).min(source.ahead.len());
        chosen.extend(source.ahead.drain(..take).map(|item| (place, item.key)));
    }
    chosen
}

/// Keys of waiting runs, as far as they are read.
struct Places<'s> {
    reader: Reader<'s>,
    ahead: VecDeque<Item>,
    left: usize,
    is_over: bool,
}

impl<'s> Places<'s> {
    fn new(store: &'s Store, range: Range, left: usize) -> Self {
        let is_over = left == 0 || range.partitions.is_empty();
        Self { reader: store.read(range, left.max(1)), ahead: VecDeque::new(), left, is_over }
    }

    /// Reads on until there is a key for each run that may be handed out.
    async fn fill(&mut self) -> Result<()> {
        while self.ahead.len() < self.left && !self.is_over {
            match self.reader.more().await? {
                Some(items) => self.ahead.extend(items),
                None => self.is_over = true,
            }
        }
        Ok(())
    }
}
