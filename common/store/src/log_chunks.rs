//! Chunks of logs: how log lines become items and items become log lines.
//!
//! A line is a few hundred bytes and comes with a hundred others, so an item a line would cost a hundred writes. Lines of
//! one request, run and time [`window_of`] are one chunk instead. A chunk's id derives from its lines and the ids of the
//! lines derive from the chunk's, so a request that is repeated makes the same items.
//!
//! A chunk's text is a JSON array with an array for each line. Most are one item; a line that is larger than an item may
//! be has its chunk's text spread over several, its parts. Until all parts are there the chunk is not read.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Item, Key, Shards,
    table::{self, Collection, Index, IndexKey},
    unreadable,
};
use domain::{
    filter::LogFilter,
    model::{FlowRunId, Log, LogCreate, LogId, TaskRunId, Timestamp},
};
use error::Result;

/// How long a window is, in microseconds.
const WINDOW: i64 = 10_000_000;

/// How much of a chunk's text an item holds at most, in bytes: DynamoDB takes 400 KB with everything else.
const LARGEST_TEXT: usize = 256 * 1024;

/// The namespace of chunk ids.
const CHUNKS: Uuid = Uuid::from_u128(0x6f0c_3d11_8a52_4be7_9c36_5f1d_27e0_b4a8);

/// Returns the start of the window that `time` is in.
pub(super) fn window_of(time: Timestamp) -> Timestamp {
    let micros = time.as_micros();
    Timestamp::from_micros(micros - micros.rem_euclid(WINDOW)).unwrap_or(time)
}

/// Returns the start of the window after the one that `time` is in, or `None` at the calendar's end.
pub(super) fn window_after(time: Timestamp) -> Option<Timestamp> {
    Timestamp::from_micros(window_of(time).as_micros().checked_add(WINDOW)?)
}

/// Returns the part of a chunk's sort key that names its window, as [`Timestamp::sortable`] writes it.
pub(super) fn window_in(sort_key: &str) -> &str {
    sort_key.split('#').next().unwrap_or_default()
}

/// What a chunk says of its lines, kept in `head`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct ChunkHead {
    /// When the lines were received.
    created: Timestamp,
    flow_run_id: Option<FlowRunId>,
    task_run_id: Option<TaskRunId>,
    /// The lowest level of a line.
    lowest: i64,
    /// The highest level of a line.
    highest: i64,
    /// Which part of the text this item holds, from 0.
    part: usize,
    /// How many parts there are.
    parts: usize,
}

impl ChunkHead {
    /// Reads the head of `item`, if the item carries it; one that can't be read is reported.
    pub(super) fn of(item: &Item) -> Option<Self> {
        let head = item.head.as_deref()?;
        serde_json::from_str(head).map_err(|error| unreadable::report(&item.key, &error.into())).ok()
    }

    /// Tells whether the chunk is one item.
    pub(super) fn is_whole(&self) -> bool {
        self.parts == 1
    }

    /// Tells whether a line of the chunk may match `filter`.
    pub(super) fn may_match(&self, filter: &LogFilter) -> bool {
        filter.flow_run_ids().is_none_or(|ids| self.flow_run_id.is_some_and(|id| ids.contains(&id)))
            && filter.task_run_ids().is_none_or(|ids| self.task_run_id.is_some_and(|id| ids.contains(&id)))
            && filter.level_bounds().is_none_or(|bounds| {
                bounds.ge.is_none_or(|limit| self.highest >= limit)
                    && bounds.le.is_none_or(|limit| self.lowest <= limit)
            })
    }
}

/// A line in a chunk's text: its time, level, logger, message and place in the request.
#[derive(Debug, Serialize, Deserialize)]
struct Line<'l>(Timestamp, i64, #[serde(borrow)] Cow<'l, str>, #[serde(borrow)] Cow<'l, str>, u32);

/// Lines of one run and window.
#[derive(Debug, PartialEq)]
struct Chunk {
    flow_run_id: Option<FlowRunId>,
    task_run_id: Option<TaskRunId>,
    window: Timestamp,
    /// The time of the first line.
    first: Timestamp,
    lowest: i64,
    highest: i64,
    text: String,
}

/// Turns the lines of a request that was received at `now` into items.
pub(super) fn items_of(logs: Vec<LogCreate>, now: Timestamp, shards: Shards) -> Result<Vec<Item>> {
    let mut items = Vec::new();
    for chunk in chunks_of(logs)? {
        items.extend(chunk.into_items(now, shards)?);
    }
    Ok(items)
}

fn chunks_of(logs: Vec<LogCreate>) -> Result<Vec<Chunk>> {
    let mut groups: BTreeMap<_, Vec<(u32, LogCreate)>> = BTreeMap::new();
    for (place, log) in (0..).zip(logs) {
        let group = (log.flow_run_id, log.task_run_id, window_of(log.timestamp));
        groups.entry(group).or_default().push((place, log));
    }
    let mut chunks: Vec<Chunk> = Vec::with_capacity(groups.len());
    for ((flow_run_id, task_run_id, window), mut lines) in groups {
        lines.sort_by_key(|(place, log)| (log.timestamp, *place));
        let mut open: Option<Chunk> = None;
        for (place, log) in lines {
            let (first, level) = (log.timestamp, log.level);
            let line = serde_json::to_string(&Line(first, level, log.name.into(), log.message.into(), place))?;
            if let Some(full) = open.take_if(|chunk| chunk.text.len() + line.len() > LARGEST_TEXT) {
                chunks.push(full.closed());
            }
            let new = || {
                let text = String::new();
                Chunk { flow_run_id, task_run_id, window, first, lowest: level, highest: level, text }
            };
            open.get_or_insert_with(new).push(&line, level);
        }
        chunks.extend(open.map(Chunk::closed));
    }
    Ok(chunks)
}

impl Chunk {
    fn push(&mut self, line: &str, level: i64) {
        self.lowest = self.lowest.min(level);
        self.highest = self.highest.max(level);
        self.text.push(if self.text.is_empty() { '[' } else { ',' });
        self.text.push_str(line);
    }

    fn closed(mut self) -> Self {
        self.text.push(']');
        self
    }

    fn id(&self) -> Uuid {
        let run = |id: Option<Uuid>| id.unwrap_or_default().into_bytes();
        let (flow_run, task_run) = (run(self.flow_run_id.map(Uuid::from)), run(self.task_run_id.map(Uuid::from)));
        Uuid::new_v5(&CHUNKS, &[&flow_run, &task_run, self.text.as_bytes()].concat())
    }

    fn into_items(self, now: Timestamp, shards: Shards) -> Result<Vec<Item>> {
        let id = self.id();
        let texts = pieces(&self.text, LARGEST_TEXT);
        let mut items = Vec::with_capacity(texts.len());
        for (part, text) in texts.iter().enumerate() {
            let head = ChunkHead {
                created: now,
                flow_run_id: self.flow_run_id,
                task_run_id: self.task_run_id,
                lowest: self.lowest,
                highest: self.highest,
                part,
                parts: texts.len(),
            };
            let key = table::log_chunk(
                table::LogsOf::of(self.flow_run_id, self.task_run_id),
                self.window,
                self.first,
                id,
                part,
            );
            let all = IndexKey { index: Index::ByTime, pk: shards.of(Collection::Logs, id), sk: key.sk.clone() };
            let of_task_run = self.task_run_id.map(|task_run| IndexKey {
                index: Index::Lookup,
                pk: table::task_logs_lookup(task_run),
                sk: key.sk.clone(),
            });
            items.push(Item {
                version: 1,
                announced: None,
                head: Some(serde_json::to_string(&head)?),
                tail: Some((*text).to_owned()),
                brief: None,
                expires: None,
                index_keys: table::attributes([Some(all), of_task_run].into_iter().flatten().collect())?,
                key,
            });
        }
        Ok(items)
    }
}

/// Cuts `text` into pieces of at most `largest` bytes.
fn pieces(text: &str, largest: usize) -> Vec<&str> {
    let mut pieces = Vec::with_capacity(1);
    let mut rest = text;
    while rest.len() > largest {
        let (piece, after) = rest.split_at(rest.floor_char_boundary(largest));
        pieces.push(piece);
        rest = after;
    }
    pieces.push(rest);
    pieces
}

/// The key of the first part of a chunk that was read, and its parts with their texts.
type Parts<'i> = (&'i Key, Vec<(ChunkHead, &'i str)>);

/// Returns the lines of `items`, in no order; a chunk of which a part is missing is left out.
///
/// A chunk that can't be read is left out and reported.
pub(super) fn logs_in(items: &[Item]) -> Vec<Log> {
    let mut chunks: HashMap<&str, Parts<'_>> = HashMap::new();
    for item in items {
        let (Some(head), Some((chunk, _))) = (ChunkHead::of(item), item.key.sk.rsplit_once('#')) else { continue };
        let (_, parts) = chunks.entry(chunk).or_insert_with(|| (&item.key, Vec::new()));
        parts.push((head, item.tail.as_deref().unwrap_or_default()));
    }
    let mut logs = Vec::new();
    for (chunk, (key, mut parts)) in chunks {
        parts.sort_by_key(|(head, _)| head.part);
        let id = chunk.rsplit_once('#').and_then(|(_, id)| Uuid::parse_str(id).ok()).unwrap_or_default();
        let read = match parts.as_slice() {
            [(head, text)] if head.parts == 1 => read_lines(&mut logs, id, head, text),
            [(head, _), ..] if head.parts == parts.len() => {
                let text: String = parts.iter().map(|(_, text)| *text).collect();
                read_lines(&mut logs, id, head, &text)
            }
            _ => Ok(()),
        };
        if let Err(error) = read {
            unreadable::report(key, &error);
        }
    }
    logs
}

fn read_lines(logs: &mut Vec<Log>, chunk: Uuid, head: &ChunkHead, text: &str) -> Result<()> {
    let lines: Vec<Line<'_>> = match serde_json::from_str(text) {
        Ok(lines) => lines,
        Err(error) => {
            let mended = unreadable::mended_json(text).ok_or(error)?;
            return read_lines(logs, chunk, head, &mended);
        }
    };
    logs.extend(lines.into_iter().map(|Line(timestamp, level, name, message, place)| Log {
        id: log_id(chunk, place),
        created: head.created,
        updated: head.created,
        name: name.into_owned(),
        level,
        message: message.into_owned(),
        timestamp,
        flow_run_id: head.flow_run_id,
        task_run_id: head.task_run_id,
    }));
    Ok(())
}

/// Returns the id of the line at `place` of its request: lines of one request are in the order of their ids.
fn log_id(chunk: Uuid, place: u32) -> LogId {
    let (_, middle, high, rest) = chunk.as_fields();
    LogId(Uuid::from_fields(place, middle, high, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARDS: Shards = Shards(4);

    fn line(run: Option<FlowRunId>, time: &str, message: &str) -> LogCreate {
        LogCreate {
            name: "prefect".into(),
            level: 20,
            message: message.into(),
            timestamp: time.parse().unwrap(),
            flow_run_id: run,
            task_run_id: None,
        }
    }

    fn items(logs: Vec<LogCreate>) -> Vec<Item> {
        items_of(logs, "2026-01-31T09:30:00Z".parse().unwrap(), SHARDS).unwrap()
    }

    #[test]
    fn groups_by_run_and_window() {
        let (run, other) = (FlowRunId::new(), FlowRunId::new());
        let logs = vec![
            line(Some(run), "2024-01-01T00:00:00Z", "a"),
            line(Some(run), "2024-01-01T00:00:09.999999Z", "b"),
            line(Some(run), "2024-01-01T00:00:10Z", "next window"),
            line(Some(other), "2024-01-01T00:00:00Z", "other run"),
            LogCreate { task_run_id: Some(TaskRunId::new()), ..line(Some(run), "2024-01-01T00:00:00Z", "task") },
        ];
        let items = items(logs);
        let mut sizes: Vec<usize> = items.iter().map(|item| logs_in(std::slice::from_ref(item)).len()).collect();
        sizes.sort_unstable();
        assert_eq!(sizes, [1, 1, 1, 2]);
    }

    #[test]
    fn windows_start_at_whole_ten_seconds_before_the_epoch_too() {
        let window = |time: &str| window_of(time.parse().unwrap()).to_string();
        assert_eq!(window("1969-12-31T23:59:59.5Z"), "1969-12-31T23:59:50Z");
        assert_eq!(window("0001-01-01T00:00:00Z"), "0001-01-01T00:00:00Z");
        assert_eq!(window_after("1969-12-31T23:59:59.5Z".parse().unwrap()), "1970-01-01T00:00:00Z".parse().ok());
    }

    #[test]
    fn no_item_is_larger_than_the_store_takes() {
        let run = Some(FlowRunId::new());
        let sizes = [10, 200_000, 100_000, 300_000, 1_000_000, 50];
        let logs: Vec<_> = sizes.iter().map(|size| line(run, "2024-01-01T00:00:00Z", &"ü".repeat(*size))).collect();
        let items = items(logs.clone());
        for item in &items {
            assert!(serde_json::to_string(item).unwrap().len() < 400_000);
        }
        let mut read = logs_in(&items);
        read.sort_by_key(|log| log.id);
        let messages = |logs: &[LogCreate]| logs.iter().map(|log| log.message.clone()).collect::<Vec<_>>();
        assert_eq!(read.into_iter().map(|log| log.message).collect::<Vec<_>>(), messages(&logs));
    }

    #[test]
    fn a_chunk_without_all_its_parts_is_not_read() {
        let logs = vec![line(None, "2024-01-01T00:00:00Z", &"x".repeat(2 * LARGEST_TEXT))];
        let items = items(logs);
        assert_eq!(logs_in(&items).len(), 1);
        for missing in 0..items.len() {
            let rest: Vec<Item> =
                items.iter().enumerate().filter(|(n, _)| *n != missing).map(|(_, i)| i.clone()).collect();
            assert_eq!(logs_in(&rest), []);
        }
    }

    #[test]
    fn the_same_lines_make_the_same_keys_and_ids() {
        let run = Some(FlowRunId::new());
        let logs = vec![line(run, "2024-01-01T00:00:00Z", "same"), line(run, "2024-01-01T00:00:00Z", "same")];
        let (first, second) = (items(logs.clone()), items(logs.clone()));
        assert_eq!(first[0].key, second[0].key);
        let ids: Vec<LogId> = logs_in(&first).iter().map(|log| log.id).collect();
        assert_eq!(ids.len(), 2);
        assert!(ids[0] < ids[1]);
        let other = items(vec![line(run, "2024-01-01T00:00:00Z", "other")]);
        assert_ne!(first[0].key, other[0].key);
    }

    #[test]
    fn the_head_tells_which_filters_can_not_match() {
        let run = FlowRunId::new();
        let items = items(vec![line(Some(run), "2024-01-01T00:00:00Z", "a")]);
        let head = ChunkHead::of(&items[0]).unwrap();
        let table = [
            (serde_json::json!({}), true),
            (serde_json::json!({"level": {"ge_": 20, "le_": 20}}), true),
            (serde_json::json!({"level": {"ge_": 21}}), false),
            (serde_json::json!({"level": {"le_": 19}}), false),
            (serde_json::json!({"flow_run_id": {"any_": [run]}}), true),
            (serde_json::json!({"flow_run_id": {"any_": [FlowRunId::new()]}}), false),
            (serde_json::json!({"task_run_id": {"any_": [TaskRunId::new()]}}), false),
            (serde_json::json!({"operator": "or_", "level": {"ge_": 21}, "flow_run_id": {"any_": []}}), true),
        ];
        for (filter, expected) in table {
            assert_eq!(head.may_match(&serde_json::from_value(filter.clone()).unwrap()), expected, "{filter}");
        }
    }
}
