//! Queries over deployments: from filters and a sort to an index, and the predicate that decides.

use std::{
    cmp::Ordering,
    collections::{HashMap, HashSet},
};

use super::{
    Store,
    flow_run_query::{FlowRunMatcher, RunFilters, direction},
    query::Range,
    select::{Matcher, Source, Window},
    table::{self, Collection, Index},
};
use crate::{
    error::Result,
    filter::{DeploymentFacts, DeploymentFilter, DeploymentSort, FlowFacts},
    model::{Deployment, DeploymentId, Flow, FlowId, FlowRun},
};

impl Store {
    /// Returns the deployments that `filters` select, within `window`, in the order of `sort`.
    ///
    /// A deployment matches if it matches its own filter, its flow matches its, and it has a flow run and a task run
    /// that match theirs.
    pub async fn deployments(
        &self,
        filters: &RunFilters,
        sort: DeploymentSort,
        window: Window,
    ) -> Result<Vec<Deployment>> {
        let Some(source) = self.deployment_source(filters, sort).await? else { return Ok(Vec::new()) };
        self.select(source, &mut DeploymentMatcher::new(filters), |a, b| sort.compare(a, b), window).await
    }

    /// Counts the deployments that `filters` select.
    pub async fn count_deployments(&self, filters: &RunFilters) -> Result<u64> {
        let Some(source) = self.deployment_source(filters, DeploymentSort::default()).await? else { return Ok(0) };
        self.select_count(source, &mut DeploymentMatcher::new(filters)).await
    }

    /// Chooses where to read; nowhere if nothing can match.
    async fn deployment_source(&self, filters: &RunFilters, sort: DeploymentSort) -> Result<Option<Source>> {
        if filters.work_pools.is_some() || filters.work_pool_queues.is_some() {
            // No work pool or queue is stored yet, so no deployment has one.
            return Ok(None);
        }
        if let Some(ids) = filters.deployments.as_ref().and_then(DeploymentFilter::ids) {
            let ids: HashSet<DeploymentId> = ids.iter().copied().collect();
            return Ok(Some(Source::Keys(ids.into_iter().map(table::deployment).collect())));
        }
        if let Some(flows) = self.flows_bound(filters.flows.as_ref()).await? {
            let partitions = flows.into_iter().map(table::deployments_of_flow);
            let ranges = partitions.map(|partition| Range::of_index(Index::ByParent, partition)).collect();
            return Ok(Some(Source::Gathered(ranges)));
        }
        let all = |index| Range::all(self, index, Collection::Deployments).in_direction(direction(sort.direction()));
        Ok(Some(match sort {
            DeploymentSort::NameAsc | DeploymentSort::NameDesc => Source::Ordered(all(Index::ByName)),
            DeploymentSort::CreatedDesc => Source::Ordered(all(Index::Lookup)),
            DeploymentSort::UpdatedDesc => Source::Gathered(vec![all(Index::Lookup)]),
        }))
    }

    /// Says whether a flow run of `deployment` matches the filters on flow runs and task runs.
    async fn deployment_has_run(&self, deployment: &Deployment, filters: &RunFilters) -> Result<bool> {
        let mut matcher = RunOfDeployment { deployment: deployment.id, runs: FlowRunMatcher::new(filters) };
        let source = Source::Ordered(Range::group(self, Index::ByParent, &table::runs_of_flow(deployment.flow_id)));
        let first = Window { offset: 0, limit: 1 };
        Ok(!self.select(source, &mut matcher, |_, _| Ordering::Equal, first).await?.is_empty())
    }
}

/// Decides which deployments match, and remembers what it learned of their flows.
struct DeploymentMatcher<'f> {
    filters: &'f RunFilters,
    of_runs: RunFilters,
    flows: HashMap<FlowId, bool>,
}

impl<'f> DeploymentMatcher<'f> {
    fn new(filters: &'f RunFilters) -> Self {
        let of_runs = RunFilters {
            flow_runs: filters.flow_runs.clone(),
            task_runs: filters.task_runs.clone(),
            ..RunFilters::default()
        };
        Self { filters, of_runs, flows: HashMap::new() }
    }
}

impl Matcher<Deployment> for DeploymentMatcher<'_> {
    fn matches_all(&self) -> bool {
        let RunFilters { flows, flow_runs, task_runs, deployments, .. } = self.filters;
        flows.is_none() && flow_runs.is_none() && task_runs.is_none() && deployments.is_none()
    }

    async fn keep(&mut self, store: &Store, mut found: Vec<Deployment>) -> Result<Vec<Deployment>> {
        if let Some(filter) = &self.filters.deployments {
            found.retain(|deployment| filter.matches(deployment, DeploymentFacts { flow_name: &deployment.flow_name }));
        }
        if let Some(filter) = &self.filters.flows {
            let unknown: HashSet<FlowId> =
                found.iter().map(|deployment| deployment.flow_id).filter(|id| !self.flows.contains_key(id)).collect();
            let keys: Vec<_> = unknown.into_iter().map(table::flow).collect();
            for flow in store.get_many::<Flow>(&keys).await? {
                self.flows.insert(flow.record.id, filter.matches(&flow.record, FlowFacts { has_deployment: true }));
            }
            found.retain(|deployment| self.flows.get(&deployment.flow_id) == Some(&true));
        }
        if self.of_runs.flow_runs.is_none() && self.of_runs.task_runs.is_none() {
            return Ok(found);
        }
        let mut kept = Vec::new();
        for deployment in found {
            if store.deployment_has_run(&deployment, &self.of_runs).await? {
                kept.push(deployment);
            }
        }
        Ok(kept)
    }
}

/// Decides which flow runs are a deployment's and match.
struct RunOfDeployment<'f> {
    deployment: DeploymentId,
    runs: FlowRunMatcher<'f>,
}

impl Matcher<FlowRun> for RunOfDeployment<'_> {
    fn matches_all(&self) -> bool {
        false
    }

    async fn keep(&mut self, store: &Store, mut runs: Vec<FlowRun>) -> Result<Vec<FlowRun>> {
        runs.retain(|run| run.deployment_id == Some(self.deployment));
        self.runs.keep(store, runs).await
    }
}
