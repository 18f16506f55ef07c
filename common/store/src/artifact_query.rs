//! Queries over artifacts and over the latest artifacts: from filters and a sort to an index, and the predicate that decides.

use std::collections::{HashMap, HashSet};

use serde::Deserialize;

use super::{
    Key, Record, Store, TableAccess,
    flow_run_query::{self, FlowRunMatcher},
    query::Range,
    select::{Matcher, Source, Window},
    table::{self, Collection, Index},
    task_run_query,
};
use domain::filter::RunFilters;
use domain::{
    filter::{
        ArtifactFilter, ArtifactSort, DeploymentFilter, FlowFilter, FlowRunFilter, TaskRunFilter,
        artifact::ArtifactTraits,
    },
    model::{Artifact, ArtifactCollection, FlowRun, FlowRunId, LatestArtifact, TaskRun, TaskRunId},
};
use error::Result;

/// The filters of a query over artifacts, as the contract's bodies name them.
///
/// An artifact matches if it matches its own filter, its flow run matches those on flow runs, flows and deployments
/// together, and its task run matches its.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct ArtifactFilters {
    /// On the artifact.
    pub artifacts: Option<ArtifactFilter>,
    /// On its flow run.
    pub flow_runs: Option<FlowRunFilter>,
    /// On its task run.
    pub task_runs: Option<TaskRunFilter>,
    /// On the flow of its flow run.
    pub flows: Option<FlowFilter>,
    /// On the deployment of its flow run.
    pub deployments: Option<DeploymentFilter>,
}

impl ArtifactFilters {
    fn ask_nothing(&self) -> bool {
        let Self { artifacts, flow_runs, task_runs, flows, deployments } = self;
        let on_runs = flow_runs.is_some() || task_runs.is_some() || flows.is_some() || deployments.is_some();
        artifacts.is_none() && !on_runs
    }
}

/// What [`Store::artifacts`] touches.
pub const FILTER: TableAccess = FEW.via(&[Index::ByTime, Index::ByName]);

/// What [`Store::count_artifacts`] touches.
pub const COUNT: TableAccess = FEW.via(&[Index::ByTime]);

/// What [`Store::latest_artifacts`] touches.
pub const FILTER_LATEST: TableAccess = FEW.via(&[Index::ByTime, Index::ByName, Index::Lookup]);

/// What [`Store::count_latest_artifacts`] touches.
pub const COUNT_LATEST: TableAccess = FEW.via(&[Index::Lookup]);

/// What the artifacts of runs are found in, and what an [`ArtifactMatcher`] touches.
const FEW: TableAccess = flow_run_query::MATCHER.and(task_run_query::MATCHING).via(&[Index::Lookup, Index::Related]);

impl Store {
    /// Returns the artifacts that `filters` select, within `window`, in the order of `sort`.
    pub async fn artifacts(
        &self,
        filters: &ArtifactFilters,
        sort: ArtifactSort,
        window: Window,
    ) -> Result<Vec<Artifact>> {
        let source = self.artifact_source(filters, sort).await?;
        let mut matcher = ArtifactMatcher::new(filters);
        if let Source::Ordered(_) = source {
            return self.select(source, &mut matcher, |a: &Artifact, b| sort.compare(a, b), window).await;
        }
        // What is sorted here is kept without its data as far as an index allows.
        let mut found: Vec<Artifact> = Vec::new();
        self.visit(source, &mut matcher, |artifacts| {
            found.extend(artifacts.into_iter().map(|artifact| Artifact { data: None, ..artifact }));
        })
        .await?;
        found.sort_by(|a, b| sort.compare(a, b));
        let keys: Vec<Key> = found.iter().skip(window.offset).take(window.limit).map(Record::key).collect();
        Ok(self.get_many::<Artifact>(&keys).await?.into_iter().map(|found| found.record).collect())
    }

    /// Counts the artifacts that `filters` select.
    pub async fn count_artifacts(&self, filters: &ArtifactFilters) -> Result<u64> {
        let source = self.artifact_source(filters, ArtifactSort::default()).await?;
        self.select_count::<Artifact>(source, &mut ArtifactMatcher::new(filters)).await
    }

    /// Returns the latest artifacts that `filters` select, within `window`, in the order of `sort`.
    pub async fn latest_artifacts(
        &self,
        filters: &ArtifactFilters,
        sort: ArtifactSort,
        window: Window,
    ) -> Result<Vec<LatestArtifact>> {
        let source = self.collection_source(filters, sort).await?;
        let mut matcher = ArtifactMatcher::new(filters);
        if sort != ArtifactSort::UpdatedDesc {
            let compare = |a: &ArtifactCollection, b: &ArtifactCollection| sort.compare(a, b);
            let found = self.select(source, &mut matcher, compare, window).await?;
            return self.with_latest(found).await;
        }
        // When a latest artifact was last changed is known of the artifact alone.
        let mut found: Vec<ArtifactCollection> = Vec::new();
        self.visit(source, &mut matcher, |collections| found.extend(collections)).await?;
        let mut latest = self.with_latest(found).await?;
        latest.sort_by(|a, b| sort.compare(a, b));
        Ok(latest.into_iter().skip(window.offset).take(window.limit).collect())
    }

    /// Counts the latest artifacts that `filters` select.
    pub async fn count_latest_artifacts(&self, filters: &ArtifactFilters) -> Result<u64> {
        let source = self.collection_source(filters, ArtifactSort::default()).await?;
        self.select_count::<ArtifactCollection>(source, &mut ArtifactMatcher::new(filters)).await
    }

    async fn artifact_source(&self, filters: &ArtifactFilters, sort: ArtifactSort) -> Result<Source> {
        if let Some(source) = self.few_artifacts(filters, sort).await? {
            return Ok(source);
        }
        let all = |index| Range::all(self, index, Collection::Artifacts).in_direction(sort.direction());
        Ok(match sort {
            ArtifactSort::CreatedDesc | ArtifactSort::IdDesc => Source::Ordered(all(Index::ByTime)),
            ArtifactSort::KeyAsc | ArtifactSort::KeyDesc => Source::Ordered(all(Index::ByName)),
            ArtifactSort::UpdatedDesc => Source::Unordered(vec![all(Index::ByTime)]),
        })
    }

    /// Finds the artifacts that can match where the filters name them, their keys or their runs.
    async fn few_artifacts(&self, filters: &ArtifactFilters, sort: ArtifactSort) -> Result<Option<Source>> {
        let own = filters.artifacts.as_ref();
        if let Some(ids) = own.and_then(ArtifactFilter::ids) {
            return Ok(Some(Source::Keys(distinct(ids).map(table::artifact).collect())));
        }
        if let Some(keys) = own.and_then(ArtifactFilter::keys) {
            let mut found = Vec::new();
            for key in distinct(keys) {
                found.extend(self.artifacts_with_key(&key).await?.into_iter().map(table::artifact));
            }
            return Ok(Some(Source::Keys(found)));
        }
        let task_runs = own.and_then(ArtifactFilter::task_run_ids);
        if let Some(ids) = task_runs.or_else(|| filters.task_runs.as_ref().and_then(TaskRunFilter::ids)) {
            let partitions = distinct(ids).map(table::artifacts_of_task_run).collect();
            return Ok(Some(in_order_of_creation(Index::Lookup, partitions, sort)));
        }
        let flow_runs = own.and_then(ArtifactFilter::flow_run_ids);
        if let Some(ids) = flow_runs.or_else(|| filters.flow_runs.as_ref().and_then(FlowRunFilter::ids)) {
            let partitions = distinct(ids).map(table::artifacts_of_flow_run).collect();
            return Ok(Some(in_order_of_creation(Index::Related, partitions, sort)));
        }
        Ok(None)
    }

    /// Chooses where to read collections: where the filters name artifacts or runs, those of the artifacts' keys.
    async fn collection_source(&self, filters: &ArtifactFilters, sort: ArtifactSort) -> Result<Source> {
        if let Some(keys) = filters.artifacts.as_ref().and_then(ArtifactFilter::keys) {
            return Ok(Source::Keys(distinct(keys).map(|key| table::artifact_collection(&key)).collect()));
        }
        if let Some(source) = self.few_artifacts(filters, sort).await? {
            let mut keys: HashSet<String> = HashSet::new();
            let mut all = ArtifactMatcher::new(&NO_FILTERS);
            self.visit(source, &mut all, |artifacts: Vec<Artifact>| {
                keys.extend(artifacts.into_iter().filter_map(|artifact| artifact.key));
            })
            .await?;
            return Ok(Source::Keys(keys.iter().map(|key| table::artifact_collection(key)).collect()));
        }
        let all = |index| Range::all(self, index, Collection::ArtifactCollections).in_direction(sort.direction());
        Ok(match sort {
            ArtifactSort::CreatedDesc => Source::Ordered(all(Index::ByTime)),
            ArtifactSort::IdDesc => Source::Ordered(all(Index::Lookup)),
            ArtifactSort::KeyAsc | ArtifactSort::KeyDesc => Source::Ordered(all(Index::ByName)),
            ArtifactSort::UpdatedDesc => Source::Unordered(vec![all(Index::ByTime)]),
        })
    }
}

static NO_FILTERS: ArtifactFilters =
    ArtifactFilters { artifacts: None, flow_runs: None, task_runs: None, flows: None, deployments: None };

fn distinct<T: Clone + Eq + std::hash::Hash>(list: &[T]) -> impl Iterator<Item = T> + use<T> {
    list.iter().cloned().collect::<HashSet<T>>().into_iter()
}

/// Reads `partitions`, whose items are sorted by the creation of the artifacts.
fn in_order_of_creation(index: Index, partitions: Vec<String>, sort: ArtifactSort) -> Source {
    let range = Range { partitions, direction: sort.direction(), ..Range::of_index(index, String::new()) };
    match sort {
        ArtifactSort::CreatedDesc | ArtifactSort::IdDesc => Source::Ordered(range),
        ArtifactSort::UpdatedDesc | ArtifactSort::KeyAsc | ArtifactSort::KeyDesc => Source::Unordered(vec![range]),
    }
}

/// Decides which artifacts match, and remembers what it learned of their runs.
struct ArtifactMatcher<'f> {
    filters: &'f ArtifactFilters,
    of_flow_runs: RunFilters,
    flow_runs: HashMap<FlowRunId, bool>,
    task_runs: HashMap<TaskRunId, bool>,
}

impl<'f> ArtifactMatcher<'f> {
    fn new(filters: &'f ArtifactFilters) -> Self {
        let of_flow_runs = RunFilters {
            flows: filters.flows.clone(),
            flow_runs: filters.flow_runs.clone(),
            deployments: filters.deployments.clone(),
            ..RunFilters::default()
        };
        Self { filters, of_flow_runs, flow_runs: HashMap::new(), task_runs: HashMap::new() }
    }

    async fn learn_flow_runs(&mut self, store: &Store, mut unknown: HashSet<FlowRunId>) -> Result<()> {
        unknown.retain(|id| !self.flow_runs.contains_key(id));
        let keys: Vec<Key> = unknown.iter().copied().map(table::flow_run).collect();
        self.flow_runs.extend(unknown.into_iter().map(|id| (id, false)));
        let runs = store.get_many::<FlowRun>(&keys).await?.into_iter().map(|found| found.record).collect();
        let runs = FlowRunMatcher::new(&self.of_flow_runs).keep(store, runs).await?;
        self.flow_runs.extend(runs.into_iter().map(|run| (run.id, true)));
        Ok(())
    }

    async fn learn_task_runs(
        &mut self,
        store: &Store,
        filter: &TaskRunFilter,
        mut unknown: HashSet<TaskRunId>,
    ) -> Result<()> {
        unknown.retain(|id| !self.task_runs.contains_key(id));
        let keys: Vec<Key> = unknown.iter().copied().map(table::task_run).collect();
        self.task_runs.extend(unknown.into_iter().map(|id| (id, false)));
        let runs = store.get_many::<TaskRun>(&keys).await?.into_iter().map(|found| found.record).collect();
        self.task_runs.extend(store.matching(filter, runs).await?.into_iter().map(|run| (run.id, true)));
        Ok(())
    }
}

/// What belongs to a flow run and a task run, as artifacts and collections of them do.
trait OfRuns: Send {
    fn flow_run(&self) -> Option<FlowRunId>;
    fn task_run(&self) -> Option<TaskRunId>;
}

impl OfRuns for Artifact {
    fn flow_run(&self) -> Option<FlowRunId> {
        self.flow_run_id
    }

    fn task_run(&self) -> Option<TaskRunId> {
        self.task_run_id
    }
}

impl OfRuns for ArtifactCollection {
    fn flow_run(&self) -> Option<FlowRunId> {
        self.flow_run_id
    }

    fn task_run(&self) -> Option<TaskRunId> {
        self.task_run_id
    }
}

impl<R: OfRuns> Matcher<R> for ArtifactMatcher<'_>
where
    for<'r> ArtifactTraits<'r>: From<&'r R>,
{
    fn matches_all(&self) -> bool {
        self.filters.ask_nothing()
    }

    async fn keep(&mut self, store: &Store, mut found: Vec<R>) -> Result<Vec<R>> {
        let ArtifactFilters { artifacts, flow_runs, task_runs, flows, deployments } = self.filters;
        if let Some(filter) = artifacts {
            found.retain(|artifact| filter.matches(artifact));
        }
        if flow_runs.is_some() || flows.is_some() || deployments.is_some() {
            self.learn_flow_runs(store, found.iter().filter_map(OfRuns::flow_run).collect()).await?;
            found.retain(|artifact| artifact.flow_run().is_some_and(|id| self.flow_runs.get(&id) == Some(&true)));
        }
        if let Some(filter) = task_runs {
            self.learn_task_runs(store, filter, found.iter().filter_map(OfRuns::task_run).collect()).await?;
            found.retain(|artifact| artifact.task_run().is_some_and(|id| self.task_runs.get(&id) == Some(&true)));
        }
        Ok(found)
    }
}
