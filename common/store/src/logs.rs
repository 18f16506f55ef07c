//! Logs in the table: chunks are written in parallel, and read window by window.

use std::collections::VecDeque;

use super::{
    Item, Key, Store, TableAccess,
    log_chunks::{self, ChunkHead},
    query::{Range, Reader},
    select,
    table::{self, Collection, Index, Projection},
};
use domain::{
    filter::{LogFilter, LogSort},
    model::{FlowRunId, Log, LogCreate, TaskRunId, Timestamp},
};
use error::Result;

/// How many chunks the first page of a read asks for; later pages grow.
const FIRST_PAGE: usize = 8;

/// How many lines a stretch has at least, except for the last one.
const STRETCH: usize = 1_000;

/// How many chunks are deleted at once.
const DELETED_AT_ONCE: usize = 100;

/// A stretch of a flow run's logs, in their order.
#[derive(Debug)]
pub struct Stretch {
    /// The lines.
    pub logs: Vec<Log>,
    /// Where the next stretch starts, unless this is the last one.
    pub next: Option<Timestamp>,
}

/// What [`Store::add_logs`] touches.
pub const ADD: TableAccess = TableAccess::WRITES_MANY;

/// What [`Store::logs`] touches.
pub const FILTER: TableAccess = TableAccess::READS.via(&[Index::ByTime, Index::Lookup]);

impl Store {
    /// Keeps the lines that a request brought at `now`.
    ///
    /// The same lines in a second request, which a client sends when it saw no answer, change nothing.
    ///
    /// # Errors
    /// If not all lines are durable; some may be, and a repeat adds the rest.
    pub async fn add_logs(&self, logs: Vec<LogCreate>, now: Timestamp) -> Result<()> {
        self.add_logs_as(logs, now, false).await.map(|_| ())
    }

    /// Keeps lines as [`Store::add_logs`] does, and returns them as they will be read, if that is wanted, the oldest first.
    ///
    /// # Errors
    /// Those of [`Store::add_logs`].
    pub async fn add_logs_as(&self, logs: Vec<LogCreate>, now: Timestamp, returned: bool) -> Result<Vec<Log>> {
        let logs = logs.into_iter().map(LogCreate::without_nuls).collect();
        let items = log_chunks::items_of(logs, now, self.shards)?;
        let mut kept = if returned { log_chunks::logs_in(&items) } else { Vec::new() };
        kept.sort_by_key(|log| log.timestamp);
        self.insert_missing(items).await?;
        Ok(kept)
    }

    /// Returns the lines within `page` of those that match `filter`, in the order of `sort`.
    pub async fn logs(&self, filter: &LogFilter, sort: LogSort, page: select::Window) -> Result<Vec<Log>> {
        let mut logs = Vec::new();
        if page.limit == 0 {
            return Ok(logs);
        }
        let mut offset = page.offset;
        let mut windows = self.windows(filter, sort, None);
        while let Some(window) = windows.next().await? {
            let skipped = offset.min(window.len());
            offset -= skipped;
            logs.extend(window.into_iter().skip(skipped).take(page.limit - logs.len()));
            if logs.len() == page.limit {
                break;
            }
        }
        Ok(logs)
    }

    /// Returns the first logs of a flow run, or those that start where the stretch before ended.
    pub async fn flow_run_logs(&self, flow_run: FlowRunId, from: Option<Timestamp>) -> Result<Stretch> {
        let filter = LogFilter {
            flow_run_id: Some(domain::filter::membership::AnyOf { any: Some(vec![flow_run]) }),
            ..LogFilter::default()
        };
        let mut windows = self.windows(&filter, LogSort::TimestampAsc, from);
        let mut logs: Vec<Log> = Vec::new();
        while logs.len() < STRETCH {
            match windows.next().await? {
                Some(window) => logs.extend(window),
                None => return Ok(Stretch { logs, next: None }),
            }
        }
        let next = logs.last().and_then(|log| log_chunks::window_after(log.timestamp));
        Ok(Stretch { logs, next })
    }

    /// Returns the lines of the chunk that `item` is a part of, the oldest first; none while another part is missing.
    pub async fn logs_of_chunk(&self, item: &Item) -> Result<Vec<Log>> {
        let is_whole = ChunkHead::of(item).is_some_and(|head| head.is_whole());
        let mut logs = match item.key.sk.rsplit_once('#') {
            Some((chunk, _)) if !is_whole => {
                let range = Range::partition(&item.key.pk).starting_with(format!("{chunk}#"));
                log_chunks::logs_in(&self.read_all(range).await?)
            }
            _ => log_chunks::logs_in(std::slice::from_ref(item)),
        };
        logs.sort_by_key(|log| (log.timestamp, log.id));
        Ok(logs)
    }

    /// Deletes the logs of a flow run, those of its task runs included.
    ///
    /// After an error, a repeat deletes what is left.
    pub async fn delete_logs_of(&self, flow_run: FlowRunId) -> Result<()> {
        self.delete_chunks(Range::partition(table::LogsOf::FlowRun(flow_run).partition())).await
    }

    /// Deletes the logs of a task run.
    ///
    /// After an error, a repeat deletes what is left.
    pub async fn delete_logs_of_task_run(&self, task_run: TaskRunId) -> Result<()> {
        self.delete_chunks(Range::of_index(Index::Lookup, table::task_logs_lookup(task_run))).await
    }

    async fn delete_chunks(&self, range: Range) -> Result<()> {
        let mut reader = self.read(range, DELETED_AT_ONCE);
        while let Some(items) = reader.more().await? {
            let keys: Vec<Key> = items.into_iter().map(|item| item.key).collect();
            self.delete_all(&keys).await?;
        }
        Ok(())
    }

    fn windows<'s>(&'s self, filter: &'s LogFilter, sort: LogSort, from: Option<Timestamp>) -> Windows<'s> {
        let range = self.range_of_logs(filter, from).in_direction(sort.direction());
        Windows {
            store: self,
            projection: self.carried(&range),
            reader: self.read(range, FIRST_PAGE),
            filter,
            sort,
            ahead: VecDeque::new(),
            ended: false,
        }
    }

    /// Returns the narrowest range with every chunk that has a match.
    fn range_of_logs(&self, filter: &LogFilter, from: Option<Timestamp>) -> Range {
        let range = match (filter.task_run_ids(), filter.flow_run_ids()) {
            (Some(ids), _) => {
                let partitions = distinct(ids.iter().map(|id| table::task_logs_lookup(*id)));
                Range { partitions, ..Range::of_index(Index::Lookup, "") }
            }
            (None, Some(ids)) => {
                let partitions = distinct(ids.iter().map(|id| table::LogsOf::FlowRun(*id).partition()));
                Range { partitions, ..Range::partition("") }
            }
            (None, None) => Range::all(self, Index::ByTime, Collection::Logs),
        };
        let bounds = filter.timestamp_bounds();
        let first = bounds.and_then(|bounds| bounds.not_before).map(log_chunks::window_of).max(from);
        let last = bounds.and_then(|bounds| bounds.not_after).map(log_chunks::window_of);
        if first.zip(last).is_some_and(|(first, last)| first > last) {
            return Range { partitions: Vec::new(), ..range };
        }
        range.between(first.map(Timestamp::sortable), last.map(Timestamp::sortable))
    }
}

fn distinct(partitions: impl Iterator<Item = String>) -> Vec<String> {
    partitions.collect::<std::collections::BTreeSet<_>>().into_iter().collect()
}

/// Reads matching lines in order, a window at a time.
///
/// The chunks of a window overlap: only all of them together have an order.
struct Windows<'s> {
    store: &'s Store,
    reader: Reader<'s>,
    projection: Projection,
    filter: &'s LogFilter,
    sort: LogSort,
    /// Chunks that were read and not returned yet.
    ahead: VecDeque<Item>,
    ended: bool,
}

impl Windows<'_> {
    /// Returns the matching lines of the next window that has a chunk, or `None` at the end.
    async fn next(&mut self) -> Result<Option<Vec<Log>>> {
        while !self.ended && !self.has_whole_window() {
            self.fill().await?;
        }
        let Some(first) = self.ahead.pop_front() else { return Ok(None) };
        let in_window = |item: &Item| log_chunks::window_in(&item.key.sk) == log_chunks::window_in(&first.key.sk);
        let count = self.ahead.iter().take_while(|item| in_window(item)).count();
        let mut items: Vec<Item> = self.ahead.drain(..count).collect();
        items.push(first);
        let mut logs = log_chunks::logs_in(&items);
        logs.retain(|log| self.filter.matches(log));
        logs.sort_by(|a, b| self.sort.compare(a, b));
        Ok(Some(logs))
    }

    fn has_whole_window(&self) -> bool {
        let window = |item: &'_ Item| log_chunks::window_in(&item.key.sk).to_owned();
        self.ahead.front().map(window) != self.ahead.back().map(window)
    }

    async fn fill(&mut self) -> Result<()> {
        let Some(mut items) = self.reader.more().await? else {
            self.ended = true;
            return Ok(());
        };
        self.reader.widen();
        for item in std::mem::take(&mut items) {
            if ChunkHead::of(&item).is_none_or(|head| head.may_match(self.filter)) {
                items.push(item);
            }
        }
        if self.projection != Projection::All {
            let keys: Vec<Key> = items.into_iter().map(|item| item.key).collect();
            items = self.store.get_items(&keys).await?;
        }
        self.ahead.extend(items);
        Ok(())
    }
}
