//! Changes of a stream as they are counted by a consumer that may be told of each of them more than once.
//!
//! An item is counted if it says so: every write marks runs and events as counted, and [`Backend::mark_counted`] marks
//! those that an older version wrote. The mark is in the image, so that each change says by itself what it takes away
//! and what it adds, and nothing is counted before its mark or twice.
//!
//! [`Backend::mark_counted`]: crate::Backend::mark_counted

use std::collections::{BTreeMap, BTreeSet};

use domain::model::{StateType, is_usual_name};
use error::{Error, Result};
use serde_json::Value;

use super::{Cell, Deltas, FOLLOWED, Length, TallyKey, deltas, events};
use crate::{Item, Key, Store, backend::Image};

/// The fields of runs and events that decide where these are counted.
const FIELDS: [&str; 11] = [
    "flow_id",
    "deployment_id",
    "work_queue_id",
    "parent_task_run_id",
    "state_type",
    "state_name",
    "expected_start_time",
    "start_time",
    "total_run_time",
    "occurred",
    "event",
];

/// What the names of events begin with that runs make of their states.
const OF_STATES: [&str; 2] = ["prefect.flow-run.", "prefect.task-run."];

/// How many bytes of a cell are kept: a client's name may be as long as a request, and an item of DynamoDB takes 400
/// KB.
const LONGEST_CELL: usize = 10_000;

/// How a change of an item changes tallies, and where it stands in its stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountedChange {
    /// Its number, greater than those of the changes before it in its shard.
    pub sequence: u128,
    /// When it was made, in seconds since the epoch.
    pub time: i64,
    /// What it adds.
    pub deltas: Deltas,
}

/// Changes of one shard of a stream in their order, without a gap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountedBatch {
    /// The shard.
    pub shard: String,
    /// The changes.
    pub changes: Vec<CountedChange>,
}

impl CountedChange {
    /// Reads what a stream's record tells; an image that can't be read counts as none, before and after alike.
    ///
    /// # Errors
    /// [`Error::Internal`] if the record has no number or no key.
    pub fn read(
        sequence: &str,
        time: i64,
        keys: serde_dynamo::Item,
        old_image: Option<serde_dynamo::Item>,
        new_image: Option<serde_dynamo::Item>,
    ) -> Result<Self> {
        let sequence = sequence
            .parse()
            .map_err(|error| Error::Internal(format!("{sequence:?} is no number of a change: {error}")))?;
        let key: Key = serde_dynamo::from_item(keys)
            .map_err(|error| Error::Internal(format!("the key of a change could not be read: {error}")))?;
        let counted = |image: Option<serde_dynamo::Item>| {
            let read = Image::new(image?).inspect_err(|error| {
                tracing::error!(pk = key.pk, %error, "an image of an item can't be read and is not counted");
            });
            read.ok()?.counted()
        };
        let (before, after) = (counted(old_image), counted(new_image));
        Ok(Self { sequence, time, deltas: without_seconds(deltas(&key, before.as_ref(), after.as_ref())) })
    }
}

impl Store {
    /// Adds to the tallies what a batch of a stream's shard tells, and nothing of it that was added before.
    ///
    /// One batch of a shard is to be counted before the next one begins. It may be counted again at any time, by
    /// another process, cut in other places.
    ///
    /// # Errors
    /// Those of the database; a part of the batch may be counted, and a repeat counts the rest.
    pub async fn count_changes(&self, batch: &CountedBatch) -> Result<()> {
        self.backend.count(batch).await.map(drop)
    }
}

/// Leaves out the seconds: few events share one, so that each would be an update of its own.
fn without_seconds(mut deltas: Deltas) -> Deltas {
    deltas.retain(|key, _| key.length != Length::Second);
    deltas
}

/// Says whether tallies follow the item under `key`.
pub(crate) fn is_followed(key: &Key) -> bool {
    FOLLOWED.iter().any(|(partition, sort)| key.pk.starts_with(partition) && key.sk.starts_with(sort))
}

/// Returns what of the `head` of a record is tallied, as a `head` of its own.
pub(crate) fn tallied_fields(head: &str) -> String {
    let mut fields: BTreeMap<String, Value> = serde_json::from_str(head).unwrap_or_default();
    fields.retain(|name, _| FIELDS.contains(&name.as_str()));
    for value in fields.values_mut() {
        if let Value::String(text) = value {
            text.truncate(cut(text).len());
        }
    }
    serde_json::to_string(&fields).unwrap_or_default()
}

/// Returns as much of a cell as is kept.
pub(crate) fn cut(cell: &str) -> &str {
    &cell[..cell.floor_char_boundary(LONGEST_CELL)]
}

/// Says whether the cell is one of the few that most periods have, and which share an item therefore.
///
/// Clients give states and events any name, so that there is no end to the others.
pub(crate) fn is_usual(key: &TallyKey) -> bool {
    if key.scope == events::EVENTS {
        let of_state = OF_STATES.iter().find_map(|start| key.cell.strip_prefix(start));
        return of_state.is_some_and(|name| StateType::ALL.into_iter().any(|kind| is_usual_name(kind, name)));
    }
    match key.cell.parse() {
        Ok(Cell { state_type: Some(kind), state_name: Some(name), .. }) => is_usual_name(kind, &name),
        Ok(Cell { state_name, .. }) => state_name.is_none(),
        Err(_) => false,
    }
}

/// Counts `items` that are there, as a stream would that told of each of them once.
pub(super) fn recount<'i>(items: impl IntoIterator<Item = &'i Item>, counted: &mut Deltas) {
    for item in items {
        let deltas = without_seconds(deltas(&item.key, None, Some(item))).into_iter();
        let kept = deltas.map(|(key, sums)| (TallyKey { cell: cut(&key.cell).to_owned(), ..key }, sums));
        super::merge(counted, kept.collect());
    }
}

/// Returns the scopes in `keys`.
pub(super) fn scopes<'k>(keys: impl IntoIterator<Item = &'k TallyKey>) -> BTreeSet<Vec<u8>> {
    keys.into_iter().map(|key| key.scope.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Shards;
    use domain::model::{FlowId, FlowRun, FlowRunId, State, StateId, Timestamp};

    #[test]
    fn what_is_tallied_of_a_head_is_counted_as_the_head_is() {
        let now = Timestamp::now();
        let mut run = FlowRun::new(FlowRunId::new(), FlowId::new(), "a run", now);
        run.expected_start_time = Some(now);
        run.tags = vec!["a tag".into()];
        let state = State::new(StateId::new(), StateType::Running, now);
        (run.state_type, run.state_name, run.state) = (Some(state.r#type), Some("Named".into()), Some(state));
        let item = Item::of(&run, 1, Shards(1)).unwrap();
        let few = Item { head: item.head.as_deref().map(tallied_fields), ..item.clone() };
        assert!(!few.head.as_ref().unwrap().contains("a tag"));
        assert_eq!(deltas(&item.key, None, Some(&few)), deltas(&item.key, None, Some(&item)));
        assert!(is_followed(&item.key) && !is_followed(&item.key.tombstone()));
    }

    #[test]
    fn cells_with_names_that_clients_give_are_unusual() {
        let is_usual = |scope: &[u8], cell: &str| {
            is_usual(&TallyKey { length: Length::Hour, scope: scope.to_vec(), period: 0, cell: cell.into() })
        };
        for cell in ["RUNNING|011|Running", "SCHEDULED|001|Late", "|000", "COMPLETED|011"] {
            assert!(is_usual(&[], cell), "{cell}");
        }
        let long = format!("RUNNING|011|{}", "ü".repeat(LONGEST_CELL));
        assert!(cut(&long).len() <= LONGEST_CELL && cut(&long).parse::<Cell>().is_ok());
        for cell in ["RUNNING|011|Step 7", "COMPLETED|011|", "no cell"] {
            assert!(!is_usual(&[], cell), "{cell}");
        }
        for (name, expected) in [
            ("prefect.flow-run.Completed", true),
            ("prefect.task-run.Late", true),
            ("prefect.flow-run.Step 7", false),
            ("prefect.deployment.created", false),
            ("mine", false),
        ] {
            assert_eq!(is_usual(&events::EVENTS, name), expected, "{name}");
        }
    }
}
