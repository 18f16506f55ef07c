//! Operations on many flow runs in the table: one item for each, and one for each of its parts.

use super::{
    CommitError, Item, Key, Record, Store, TableAccess, Versioned, Write,
    commit::retry_on_conflict,
    entity::Each,
    flow_run_query::{self, FlowRunMatcher, Use},
    query::{Direction, Range},
    select::{Source, Window},
    table::{self, Collection, Index, IndexKey, Shards},
};
use domain::filter::RunFilters;
use domain::model::{BulkOperation, BulkOperationId, BulkPart, FlowRun, FlowRunId, Timestamp};
use error::{Error, Result};

/// How long an operation can be asked about, in seconds: 30 days.
const KEPT_SECONDS: f64 = 30.0 * 24.0 * 3_600.0;

/// All operations are in one partition of the index: people begin them, and list them.
const SHARDS: Shards = Shards(1);

/// How many parts of an operation run beside each other at most.
const PARTS: usize = 16;

/// A part of an operation on many flow runs, with what is left of its ranges.
pub type FlowRunPart = BulkPart<Range>;

crate::json_record!(BulkOperation);

impl Record for BulkOperation {
    const HEAD: &'static [&'static str] = &["id", "created", "parts", "stopped"];

    fn key(&self) -> Key {
        table::bulk_operation(self.id)
    }

    fn index_keys(&self, _shards: Shards) -> Vec<IndexKey> {
        let pk = SHARDS.of(Collection::BulkOperations, self.id.0);
        vec![IndexKey { index: Index::Lookup, pk, sk: table::sort_with_id(&self.created.sortable(), self.id) }]
    }
}

crate::json_record!(FlowRunPart);

impl Record for FlowRunPart {
    const HEAD: &'static [&'static str] = &["operation", "number", "step", "progress", "finished"];

    fn key(&self) -> Key {
        table::bulk_part(self.operation, self.number)
    }

    fn index_keys(&self, _shards: Shards) -> Vec<IndexKey> {
        Vec::new()
    }
}

/// What [`Store::ranges_of_flow_runs`] and [`Store::begin_bulk_operation`] touch.
pub const BEGIN: TableAccess = flow_run_query::COUNT.and(TableAccess::WRITES);

/// What [`Store::bulk_operations`] touches.
pub const PAGE: TableAccess = TableAccess::READS.via(&[Index::Lookup]);

impl Store {
    /// Cuts what the flow runs are found in that `filters` select: one list of ranges for each part of an operation.
    ///
    /// There is always a part, so that an operation without any match ends as well.
    pub async fn ranges_of_flow_runs(&self, filters: &RunFilters) -> Result<Vec<Vec<Range>>> {
        let ranges = match self.flow_run_plan(filters, Use::Counted).await?.source {
            Source::Keys(keys) => keys
                .into_iter()
                .map(|key| Range::partition(key.pk).between(Some(key.sk.clone()), Some(key.sk)))
                .collect(),
            Source::Ordered(range) | Source::Nearly(range) | Source::Race { narrow: range, .. } => self.cut(range),
            Source::Unordered(ranges) => ranges.into_iter().flat_map(|range| self.cut(range)).collect(),
        };
        let mut parts = vec![Vec::new(); ranges.len().clamp(1, PARTS)];
        let count = parts.len();
        for (place, range) in ranges.into_iter().enumerate() {
            if let Some(part) = parts.get_mut(place % count) {
                part.push(range);
            }
        }
        Ok(parts)
    }

    /// Cuts a range into one for each partition, and those in which runs of it stand besides.
    ///
    /// Where runs stand that have not started comes first, so that one that starts meanwhile is found where it goes.
    fn cut(&self, range: Range) -> Vec<Range> {
        self.parts_of(range).into_iter().rev().flat_map(Range::split).collect()
    }

    /// Reads the next items of `range`, about `limit`, which has one partition; returns the flow runs that match.
    ///
    /// With them comes what is left of the range, or nothing at its end.
    pub async fn next_flow_runs(
        &self,
        range: &Range,
        filters: &RunFilters,
        limit: usize,
    ) -> Result<(Vec<FlowRunId>, Option<Range>)> {
        let mut matcher = FlowRunMatcher::new(filters);
        let (runs, rest) = self.page::<FlowRun>(range, &mut matcher, limit).await?;
        Ok((runs.into_iter().map(|run| run.id).collect(), rest))
    }

    /// Adds an operation with its parts; the consumer of the table's stream sees to their first steps.
    pub async fn begin_bulk_operation(&self, operation: &BulkOperation, parts: &[FlowRunPart]) -> Result<()> {
        let mut writes = vec![Write::Insert(self.passing(operation, 1, operation.created)?)];
        for part in parts {
            writes.push(Write::Insert(self.passing(part, 1, operation.created)?));
        }
        Ok(self.commit(writes).await?)
    }

    /// Reads the operation `id`.
    pub async fn bulk_operation(&self, id: BulkOperationId) -> Result<Option<Versioned<BulkOperation>>> {
        self.get(&table::bulk_operation(id)).await
    }

    /// Reads the part `number` of the operation `id`.
    pub async fn bulk_part(&self, id: BulkOperationId, number: usize) -> Result<Option<Versioned<FlowRunPart>>> {
        self.get(&table::bulk_part(id, number)).await
    }

    /// Returns the operations within `window`, the last begun first.
    pub async fn bulk_operations(&self, window: Window) -> Result<Vec<BulkOperation>> {
        let mut all = Range::all(self, Index::Lookup, Collection::BulkOperations).in_direction(Direction::Descending);
        all.partitions = SHARDS.all(Collection::BulkOperations);
        let newest_first =
            |one: &BulkOperation, other: &BulkOperation| (other.created, other.id).cmp(&(one.created, one.id));
        self.select(Source::Ordered(all), &mut Each::all(), newest_first, window).await
    }

    /// Reads all parts of each of `operations`, in no order.
    pub async fn bulk_parts(&self, operations: &[BulkOperation]) -> Result<Vec<FlowRunPart>> {
        let parts = |operation: &BulkOperation| {
            let id = operation.id;
            (0..operation.parts).map(move |number| table::bulk_part(id, number))
        };
        let keys: Vec<Key> = operations.iter().flat_map(parts).collect();
        Ok(self.get_many(&keys).await?.into_iter().map(|part| part.record).collect())
    }

    /// Notes a step of `part`, which was read at `version`.
    ///
    /// # Errors
    /// [`CommitError::ConditionFailed`] if another worker noted one since.
    pub async fn advance_bulk_part(
        &self,
        part: &FlowRunPart,
        version: u64,
        begun: Timestamp,
    ) -> Result<(), CommitError> {
        self.commit(vec![Write::Replace(self.passing(part, version + 1, begun)?)]).await
    }

    /// Asks the operation `id` to stop; again, if it was asked before.
    ///
    /// # Errors
    /// [`Error::NotFound`] without such an operation.
    pub async fn stop_bulk_operation(&self, id: BulkOperationId, now: Timestamp) -> Result<()> {
        retry_on_conflict(|| async {
            let found = self.bulk_operation(id).await?;
            let Versioned { mut record, version } = found.ok_or_else(|| Error::not_found("Operation"))?;
            if record.stopped.is_some() {
                return Ok(());
            }
            record.stopped = Some(now);
            self.commit(vec![Write::Replace(self.passing(&record, version + 1, record.created)?)]).await
        })
        .await
    }

    /// Makes an item that is kept for some time after the operation began.
    fn passing<R: Record>(&self, record: &R, version: u64, begun: Timestamp) -> Result<Item> {
        let mut item = Item::of(record, version, self.shards())?;
        item.expires = Some(begun.plus_seconds(KEPT_SECONDS).as_seconds());
        Ok(item)
    }
}
