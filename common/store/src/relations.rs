//! Filters on what a record belongs to: its flow, its deployment, its work queue and that queue's pool.
//!
//! Many records belong to few of these, so each one is read and judged once a query.

use std::{
    collections::{HashMap, HashSet},
    hash::Hash,
};

use super::{
    Key, Record, Store, TableAccess,
    query::Range,
    table::{self, Collection, Index, Subject},
    work_pools::StoredWorkPool,
    work_queues::StoredWorkQueue,
};
use domain::filter::RunFilters;
use domain::{
    filter::{DeploymentFacts, DeploymentFilter, FlowFacts, FlowFilter, WorkPoolFilter, WorkQueueFilter},
    model::{Deployment, DeploymentId, Flow, FlowId, FlowRun, WorkPoolId, WorkQueueId},
};
use error::Result;

/// What [`Relations::keep`] and [`Store::flow_matches`] touch.
pub(super) const MATCHING: TableAccess = TableAccess::READS.via(&[Index::ByParent]);

/// What [`Store::deployments_bound`] touches; flows and work queues are found by their keys.
pub(super) const BOUND: TableAccess = TableAccess::READS.via(&[Index::ByName]);

/// The ids of what a record belongs to.
#[derive(Clone, Copy, Debug)]
pub(super) struct BelongsTo {
    /// Its flow.
    pub flow: FlowId,
    /// The deployment that it comes from.
    pub deployment: Option<DeploymentId>,
    /// Its work queue.
    pub work_queue: Option<WorkQueueId>,
}

impl From<&FlowRun> for BelongsTo {
    fn from(run: &FlowRun) -> Self {
        Self { flow: run.flow_id, deployment: run.deployment_id, work_queue: run.work_queue_id }
    }
}

impl From<&Deployment> for BelongsTo {
    /// A deployment belongs to no other one; its own filter is not one of relations.
    fn from(deployment: &Deployment) -> Self {
        Self { flow: deployment.flow_id, deployment: None, work_queue: deployment.work_queue_id }
    }
}

/// The filters on what records belong to, with what was learned of it.
#[derive(Debug)]
pub(super) struct Relations<'f> {
    flows: Option<&'f FlowFilter>,
    deployments: Option<&'f DeploymentFilter>,
    work_queues: Option<&'f WorkQueueFilter>,
    work_pools: Option<&'f WorkPoolFilter>,
    known: Known,
}

#[derive(Debug, Default)]
struct Known {
    flows: HashMap<FlowId, bool>,
    deployments: HashMap<DeploymentId, bool>,
    /// Whether the queue and its pool match.
    work_queues: HashMap<WorkQueueId, bool>,
}

impl<'f> Relations<'f> {
    /// Takes the filters on what flow runs belong to.
    pub(super) fn of_flow_runs(filters: &'f RunFilters) -> Self {
        Self { deployments: filters.deployments.as_ref(), ..Self::of_deployments(filters) }
    }

    /// Takes the filters on what deployments belong to.
    pub(super) fn of_deployments(filters: &'f RunFilters) -> Self {
        Self {
            flows: filters.flows.as_ref(),
            deployments: None,
            work_queues: filters.work_pool_queues.as_ref(),
            work_pools: filters.work_pools.as_ref(),
            known: Known::default(),
        }
    }

    /// Says whether there is no filter.
    pub(super) fn ask_nothing(&self) -> bool {
        self.flows.is_none() && self.deployments.is_none() && self.asks_for_no_queue()
    }

    fn asks_for_no_queue(&self) -> bool {
        self.work_queues.is_none() && self.work_pools.is_none()
    }

    /// Keeps those of `records` that belong to what matches.
    pub(super) async fn keep<R>(&mut self, store: &Store, mut records: Vec<R>) -> Result<Vec<R>>
    where
        for<'r> BelongsTo: From<&'r R>,
    {
        if let Some(filter) = self.flows {
            self.learn_flows(store, filter, records.iter().map(|record| BelongsTo::from(record).flow)).await?;
            records.retain(|record| self.known.flows.get(&BelongsTo::from(record).flow) == Some(&true));
        }
        if let Some(filter) = self.deployments {
            let wanted = records.iter().filter_map(|record| BelongsTo::from(record).deployment);
            self.learn_deployments(store, filter, wanted).await?;
            records.retain(|record| is_known(&self.known.deployments, BelongsTo::from(record).deployment));
        }
        if !self.asks_for_no_queue() {
            let wanted = records.iter().filter_map(|record| BelongsTo::from(record).work_queue);
            self.learn_work_queues(store, wanted).await?;
            records.retain(|record| is_known(&self.known.work_queues, BelongsTo::from(record).work_queue));
        }
        Ok(records)
    }

    async fn learn_flows(
        &mut self,
        store: &Store,
        filter: &FlowFilter,
        wanted: impl Iterator<Item = FlowId>,
    ) -> Result<()> {
        for flow in learn::<_, Flow>(store, &mut self.known.flows, wanted, table::flow).await? {
            let matches = store.flow_matches(filter, &flow).await?;
            self.known.flows.insert(flow.id, matches);
        }
        Ok(())
    }

    async fn learn_deployments(
        &mut self,
        store: &Store,
        filter: &DeploymentFilter,
        wanted: impl Iterator<Item = DeploymentId>,
    ) -> Result<()> {
        let found = learn::<_, Deployment>(store, &mut self.known.deployments, wanted, table::deployment).await?;
        let judged =
            found.iter().map(|one| (one.id, filter.matches(one, DeploymentFacts { flow_name: &one.flow_name })));
        self.known.deployments.extend(judged);
        Ok(())
    }

    async fn learn_work_queues(&mut self, store: &Store, wanted: impl Iterator<Item = WorkQueueId>) -> Result<()> {
        let found = learn::<_, StoredWorkQueue>(store, &mut self.known.work_queues, wanted, table::work_queue).await?;
        let mut matching: Vec<_> = found.into_iter().map(|kept| kept.queue).collect();
        matching.retain(|queue| self.work_queues.is_none_or(|filter| filter.matches(queue)));
        if let Some(filter) = self.work_pools {
            let mut pools = HashMap::<WorkPoolId, bool>::new();
            let wanted = matching.iter().filter_map(|queue| queue.work_pool_id);
            for kept in learn::<_, StoredWorkPool>(store, &mut pools, wanted, table::work_pool).await? {
                pools.insert(kept.pool.id, filter.matches(&kept.pool));
            }
            matching.retain(|queue| is_known(&pools, queue.work_pool_id));
        }
        self.known.work_queues.extend(matching.into_iter().map(|queue| (queue.id, true)));
        Ok(())
    }
}

fn is_known<I: Eq + Hash>(known: &HashMap<I, bool>, id: Option<I>) -> bool {
    id.is_some_and(|id| known.get(&id) == Some(&true))
}

/// Reads the records that nothing is known of yet; they count as not matching until they are judged.
async fn learn<I: Copy + Eq + Hash, R: Record>(
    store: &Store,
    known: &mut HashMap<I, bool>,
    wanted: impl Iterator<Item = I>,
    key: fn(I) -> Key,
) -> Result<Vec<R>> {
    let unknown: HashSet<I> = wanted.filter(|id| !known.contains_key(id)).collect();
    let keys: Vec<Key> = unknown.iter().copied().map(key).collect();
    known.extend(unknown.into_iter().map(|id| (id, false)));
    Ok(store.get_many(&keys).await?.into_iter().map(|found| found.record).collect())
}

impl Store {
    /// Says whether `filter` selects `flow`, and looks for a deployment of it if that matters.
    pub(super) async fn flow_matches(&self, filter: &FlowFilter, flow: &Flow) -> Result<bool> {
        let has_deployment = filter.needs_deployments() && {
            let deployments = Range::of_index(Index::ByParent, table::deployments_of_flow(flow.id));
            self.read_first(deployments).await?.is_some()
        };
        Ok(filter.matches(flow, FlowFacts { has_deployment }))
    }

    /// Returns the flows of which every match belongs to one, if the filter names them.
    pub(super) async fn flows_bound(&self, filter: Option<&FlowFilter>) -> Result<Option<HashSet<FlowId>>> {
        let Some(filter) = filter else { return Ok(None) };
        if let Some(ids) = filter.ids() {
            return Ok(Some(ids.iter().copied().collect()));
        }
        let Some(names) = filter.names() else { return Ok(None) };
        let claims: Vec<Key> = names.iter().map(|name| table::unique_flow_name(name)).collect();
        Ok(Some(self.owners(&claims).await?.into_iter().map(FlowId::from).collect()))
    }

    /// Returns the deployments of which every match belongs to one, if the filter names them, and not too many.
    pub(super) async fn deployments_bound(
        &self,
        filter: Option<&DeploymentFilter>,
    ) -> Result<Option<HashSet<DeploymentId>>> {
        let Some(filter) = filter else { return Ok(None) };
        if let Some(ids) = filter.ids() {
            return Ok(Some(ids.iter().copied().collect()));
        }
        let names = filter.names().filter(|names| self.are_few(names.len(), Index::ByName));
        let Some(names) = names else { return Ok(None) };
        let mut ids = HashSet::new();
        for name in names {
            // Each flow may have a deployment of the name.
            let range = Range::all(self, Index::ByName, Collection::Deployments).named(name);
            ids.extend(self.read_all(range).await?.iter().filter_map(|item| match Subject::of(&item.key) {
                Some(Subject::Deployment(id)) => Some(id),
                _ => None,
            }));
        }
        Ok(Some(ids))
    }

    /// Returns the work queues of which every match belongs to one, if the filters name them or their pools.
    ///
    /// They are there, and they and their pools match, so that their runs need not be asked.
    pub(super) async fn work_queues_bound(&self, filters: &RunFilters) -> Result<Option<HashSet<WorkQueueId>>> {
        let named = if let Some(ids) = filters.work_pool_queues.as_ref().and_then(WorkQueueFilter::ids) {
            ids.to_vec()
        } else {
            let pools = filters.work_pools.as_ref();
            let keys: HashSet<Key> = if let Some(ids) = pools.and_then(WorkPoolFilter::ids) {
                ids.iter().copied().map(table::work_pool).collect()
            } else if let Some(names) = pools.and_then(WorkPoolFilter::names) {
                let claims: Vec<Key> = names.iter().map(|name| table::unique_work_pool_name(name)).collect();
                self.owners(&claims).await?.into_iter().map(|id| table::work_pool(id.into())).collect()
            } else {
                return Ok(None);
            };
            let pools = self.get_many::<StoredWorkPool>(&Vec::from_iter(keys)).await?;
            pools.into_iter().flat_map(|found| found.record.queues).collect()
        };
        let mut relations = Relations::of_flow_runs(filters);
        relations.learn_work_queues(self, named.into_iter()).await?;
        Ok(Some(relations.known.work_queues.into_iter().filter_map(|(id, matches)| matches.then_some(id)).collect()))
    }
}
