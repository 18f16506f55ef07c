//! Queries over deployments: from filters and a sort to an index, and the predicate that decides.

use std::cmp::Ordering;

use super::{
    Store, TableAccess,
    query::Range,
    relations::Relations,
    select::{Matcher, Source, Window},
    table::{self, Collection, Index},
    tallies::{self, WithRuns},
    unstarted,
};
use domain::filter::RunFilters;
use domain::{
    filter::{DeploymentFacts, DeploymentSort},
    model::{Deployment, FlowId},
};
use error::Result;

/// What [`Store::deployments`] touches.
pub const FILTER: TableAccess = COUNT.via(&[Index::Lookup]);

/// What [`Store::count_deployments`] touches: the deployments by their names or flows, and the runs of each.
pub const COUNT: TableAccess =
    tallies::READ.via(unstarted::UNSTARTED).via(&[Index::ByName, Index::ByParent, Index::ByDeployment, Index::Related]);

/// What [`Store::count_own_deployments`] touches.
pub const COUNT_OWN: TableAccess = TableAccess::READS.via(&[Index::ByParent]);

impl Store {
    /// Returns the deployments that `filters` select, within `window`, in the order of `sort`.
    ///
    /// A deployment matches if it matches its own filter, its flow, queue and pool match theirs, and it has a flow run and a
    /// task run that match theirs.
    pub async fn deployments(
        &self,
        filters: &RunFilters,
        sort: DeploymentSort,
        window: Window,
    ) -> Result<Vec<Deployment>> {
        let source = self.deployment_source(filters, sort).await?;
        self.select(source, &mut DeploymentMatcher::new(filters), |a, b| sort.compare(a, b), window).await
    }

    /// Counts the deployments that `filters` select.
    pub async fn count_deployments(&self, filters: &RunFilters) -> Result<u64> {
        let source = self.deployment_source(filters, DeploymentSort::default()).await?;
        self.select_count(source, &mut DeploymentMatcher::new(filters)).await
    }

    /// Counts the deployments of `flow`.
    pub async fn count_own_deployments(&self, flow: FlowId) -> Result<u64> {
        self.count(Range::of_index(Index::ByParent, table::deployments_of_flow(flow))).await
    }

    async fn deployment_source(&self, filters: &RunFilters, sort: DeploymentSort) -> Result<Source> {
        if let Some(ids) = self.deployments_bound(filters.deployments.as_ref()).await? {
            return Ok(Source::Keys(ids.into_iter().map(table::deployment).collect()));
        }
        if let Some(flows) = self.flows_bound(filters.flows.as_ref()).await? {
            let partitions = flows.into_iter().map(table::deployments_of_flow);
            let ranges = partitions.map(|partition| Range::of_index(Index::ByParent, partition)).collect();
            return Ok(Source::Unordered(ranges));
        }
        let all = |index| Range::all(self, index, Collection::Deployments).in_direction(sort.direction());
        Ok(match sort {
            DeploymentSort::NameAsc | DeploymentSort::NameDesc => Source::Ordered(all(Index::ByName)),
            DeploymentSort::CreatedDesc => Source::Ordered(all(Index::Lookup)),
            DeploymentSort::UpdatedDesc => Source::Unordered(vec![all(Index::Lookup)]),
        })
    }

    /// Says whether a deployment of `flow` matches the filters on deployments and work pools.
    pub(super) async fn has_deployment(&self, flow: FlowId, filters: &RunFilters) -> Result<bool> {
        let filters = RunFilters {
            deployments: filters.deployments.clone(),
            work_pools: filters.work_pools.clone(),
            ..RunFilters::default()
        };
        let source = Source::Ordered(Range::of_index(Index::ByParent, table::deployments_of_flow(flow)));
        let first = Window { offset: 0, limit: 1 };
        let found = self.select(source, &mut DeploymentMatcher::new(&filters), |_, _| Ordering::Equal, first).await?;
        Ok(!found.is_empty())
    }
}

/// Decides which deployments match, and remembers what it learned of what they belong to.
struct DeploymentMatcher<'f> {
    filters: &'f RunFilters,
    relations: Relations<'f>,
    with_runs: WithRuns<'f>,
}

impl<'f> DeploymentMatcher<'f> {
    fn new(filters: &'f RunFilters) -> Self {
        Self { filters, relations: Relations::of_deployments(filters), with_runs: WithRuns::new(filters) }
    }
}

impl Matcher<Deployment> for DeploymentMatcher<'_> {
    fn matches_all(&self) -> bool {
        self.filters.ask_nothing()
    }

    async fn keep(&mut self, store: &Store, mut found: Vec<Deployment>) -> Result<Vec<Deployment>> {
        if let Some(filter) = &self.filters.deployments {
            found.retain(|deployment| filter.matches(deployment, DeploymentFacts { flow_name: &deployment.flow_name }));
        }
        found = Box::pin(self.relations.keep(store, found)).await?;
        if self.filters.flow_runs.is_none() && self.filters.task_runs.is_none() {
            return Ok(found);
        }
        let mut kept = Vec::new();
        for deployment in found {
            if self.with_runs.are_of_deployment(store, deployment.id).await? {
                kept.push(deployment);
            }
        }
        Ok(kept)
    }
}
