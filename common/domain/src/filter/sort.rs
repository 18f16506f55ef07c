//! The sorts of the contract.
//!
//! A null sorts before every value, so it comes first ascending and last descending, as on SQLite. Names sort by
//! their bytes. What the real server leaves open, the order of equal keys, is settled by the id in the sort's direction:
//! so pages neither overlap nor skip, and an index whose keys end in the id can be walked either way.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::flow_run::started_or_expected;
use crate::model::{
    Artifact, ArtifactCollection, FlowRun, LatestArtifact, Log, Named, ReceivedEvent, TaskRun, Timestamp,
};

/// Which way a sort goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Direction {
    /// The smallest first.
    Ascending,
    /// The greatest first.
    Descending,
}

impl Direction {
    fn apply(self, ordering: Ordering) -> Ordering {
        match self {
            Self::Ascending => ordering,
            Self::Descending => ordering.reverse(),
        }
    }
}

/// How records with names of their own are sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum NamedSort {
    /// The last created first.
    CreatedDesc,
    /// The last changed first.
    UpdatedDesc,
    /// By name.
    #[default]
    NameAsc,
    /// By name, backwards.
    NameDesc,
}

impl NamedSort {
    /// Returns which way the sort goes.
    pub fn direction(self) -> Direction {
        match self {
            Self::NameAsc => Direction::Ascending,
            Self::CreatedDesc | Self::UpdatedDesc | Self::NameDesc => Direction::Descending,
        }
    }

    /// Returns which of two records comes first.
    pub fn compare<R: Named>(self, a: &R, b: &R) -> Ordering {
        let by_key = match self {
            Self::CreatedDesc => a.created().cmp(&b.created()),
            Self::UpdatedDesc => a.updated().cmp(&b.updated()),
            Self::NameAsc | Self::NameDesc => a.name().cmp(b.name()),
        };
        self.direction().apply(by_key.then_with(|| a.uuid().cmp(&b.uuid())))
    }
}

/// How artifacts are sorted (contract schemas `ArtifactSort` and `ArtifactCollectionSort`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ArtifactSort {
    /// The last created first.
    CreatedDesc,
    /// The last changed first.
    UpdatedDesc,
    /// By id, backwards.
    #[default]
    IdDesc,
    /// By key, backwards.
    KeyDesc,
    /// By key.
    KeyAsc,
}

impl ArtifactSort {
    /// Returns which way the sort goes.
    pub fn direction(self) -> Direction {
        match self {
            Self::KeyAsc => Direction::Ascending,
            Self::CreatedDesc | Self::UpdatedDesc | Self::IdDesc | Self::KeyDesc => Direction::Descending,
        }
    }

    /// Returns which of two artifacts, or of two latest artifacts, comes first.
    pub fn compare<'a, R>(self, a: &'a R, b: &'a R) -> Ordering
    where
        ArtifactRank<'a>: From<&'a R>,
    {
        let (a, b) = (ArtifactRank::from(a), ArtifactRank::from(b));
        let by_key = match self {
            Self::CreatedDesc => a.created.cmp(&b.created),
            Self::UpdatedDesc => a.updated.cmp(&b.updated),
            Self::IdDesc => Ordering::Equal,
            Self::KeyDesc | Self::KeyAsc => a.key.cmp(&b.key),
        };
        self.direction().apply(by_key.then_with(|| a.id.cmp(&b.id)))
    }
}

/// What artifacts are sorted by.
#[derive(Clone, Copy, Debug)]
pub struct ArtifactRank<'a> {
    created: Timestamp,
    updated: Timestamp,
    key: Option<&'a str>,
    id: Uuid,
}

impl<'a> From<&'a Artifact> for ArtifactRank<'a> {
    fn from(of: &'a Artifact) -> Self {
        Self { created: of.created, updated: of.updated, key: of.key.as_deref(), id: of.id.0 }
    }
}

impl<'a> From<&'a ArtifactCollection> for ArtifactRank<'a> {
    fn from(of: &'a ArtifactCollection) -> Self {
        Self { created: of.created, updated: of.updated, key: Some(&of.key), id: of.id.0 }
    }
}

impl<'a> From<&'a LatestArtifact> for ArtifactRank<'a> {
    fn from(of: &'a LatestArtifact) -> Self {
        Self { created: of.created, updated: of.updated, key: Some(&of.key), id: of.id.0 }
    }
}

/// How flow runs are sorted (contract schema `FlowRunSort`).
///
/// The sorts by start time go by the expected one where a run hasn't started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum FlowRunSort {
    /// By id, backwards.
    #[default]
    IdDesc,
    /// The first started first.
    StartTimeAsc,
    /// The last started first.
    StartTimeDesc,
    /// The first expected first.
    ExpectedStartTimeAsc,
    /// The last expected first.
    ExpectedStartTimeDesc,
    /// By name.
    NameAsc,
    /// By name, backwards.
    NameDesc,
    /// The next scheduled first.
    NextScheduledStartTimeAsc,
    /// The last ended first.
    EndTimeDesc,
}

impl FlowRunSort {
    /// Every sort.
    pub const ALL: [Self; 9] = [
        Self::IdDesc,
        Self::StartTimeAsc,
        Self::StartTimeDesc,
        Self::ExpectedStartTimeAsc,
        Self::ExpectedStartTimeDesc,
        Self::NameAsc,
        Self::NameDesc,
        Self::NextScheduledStartTimeAsc,
        Self::EndTimeDesc,
    ];

    /// Returns which way the sort goes.
    pub fn direction(self) -> Direction {
        match self {
            Self::StartTimeAsc | Self::ExpectedStartTimeAsc | Self::NameAsc | Self::NextScheduledStartTimeAsc => {
                Direction::Ascending
            }
            Self::IdDesc | Self::StartTimeDesc | Self::ExpectedStartTimeDesc | Self::NameDesc | Self::EndTimeDesc => {
                Direction::Descending
            }
        }
    }

    /// Returns which of two flow runs comes first.
    pub fn compare(self, a: &FlowRun, b: &FlowRun) -> Ordering {
        let by_key = match self {
            Self::IdDesc => Ordering::Equal,
            Self::StartTimeAsc | Self::StartTimeDesc => started_or_expected(a).cmp(&started_or_expected(b)),
            Self::ExpectedStartTimeAsc | Self::ExpectedStartTimeDesc => {
                a.expected_start_time.cmp(&b.expected_start_time)
            }
            Self::NameAsc | Self::NameDesc => a.name.cmp(&b.name),
            Self::NextScheduledStartTimeAsc => a.next_scheduled_start_time.cmp(&b.next_scheduled_start_time),
            Self::EndTimeDesc => a.end_time.cmp(&b.end_time),
        };
        self.direction().apply(by_key.then_with(|| a.id.cmp(&b.id)))
    }
}

/// How task runs are sorted (contract schema `TaskRunSort`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TaskRunSort {
    /// By id, backwards.
    #[default]
    IdDesc,
    /// The first expected first.
    ExpectedStartTimeAsc,
    /// The last expected first.
    ExpectedStartTimeDesc,
    /// By name.
    NameAsc,
    /// By name, backwards.
    NameDesc,
    /// The next scheduled first.
    NextScheduledStartTimeAsc,
    /// The last ended first.
    EndTimeDesc,
    /// The longest first.
    DurationDesc,
    /// The shortest first.
    DurationAsc,
}

impl TaskRunSort {
    /// Returns which way the sort goes.
    pub fn direction(self) -> Direction {
        match self {
            Self::ExpectedStartTimeAsc | Self::NameAsc | Self::NextScheduledStartTimeAsc | Self::DurationAsc => {
                Direction::Ascending
            }
            Self::IdDesc | Self::ExpectedStartTimeDesc | Self::NameDesc | Self::EndTimeDesc | Self::DurationDesc => {
                Direction::Descending
            }
        }
    }

    /// Returns which of two task runs comes first at `now`, until when those that run have taken time.
    ///
    /// Of equally long ones the last expected is the first, whichever way the sort goes.
    pub fn compare(self, a: &TaskRun, b: &TaskRun, now: Timestamp) -> Ordering {
        let by_key = match self {
            Self::DurationDesc | Self::DurationAsc => {
                let duration = |run: &TaskRun| run.estimated_run_time(now);
                let by_duration = duration(a).cmp(&duration(b));
                let last_expected = || (b.expected_start_time, b.id).cmp(&(a.expected_start_time, a.id));
                return self.direction().apply(by_duration).then_with(last_expected);
            }
            Self::IdDesc => Ordering::Equal,
            Self::ExpectedStartTimeAsc | Self::ExpectedStartTimeDesc => {
                a.expected_start_time.cmp(&b.expected_start_time)
            }
            Self::NameAsc | Self::NameDesc => a.name.cmp(&b.name),
            Self::NextScheduledStartTimeAsc => a.next_scheduled_start_time.cmp(&b.next_scheduled_start_time),
            Self::EndTimeDesc => a.end_time.cmp(&b.end_time),
        };
        self.direction().apply(by_key.then_with(|| a.id.cmp(&b.id)))
    }
}

/// How logs are sorted (contract schema `LogSort`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum LogSort {
    /// The first written first.
    #[default]
    TimestampAsc,
    /// The last written first.
    TimestampDesc,
}

impl LogSort {
    /// Returns which way the sort goes.
    pub fn direction(self) -> Direction {
        match self {
            Self::TimestampAsc => Direction::Ascending,
            Self::TimestampDesc => Direction::Descending,
        }
    }

    /// Returns which of two log lines comes first: of equal timestamps, the one that was received first.
    pub fn compare(self, a: &Log, b: &Log) -> Ordering {
        let key = |log: &Log| (log.timestamp, log.created, log.id);
        self.direction().apply(key(a).cmp(&key(b)))
    }
}

/// How events are sorted, by when they occurred (contract schema `EventOrder`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum EventOrder {
    /// The first first.
    Asc,
    /// The last first.
    #[default]
    Desc,
}

impl EventOrder {
    /// Returns which way the sort goes.
    pub fn direction(self) -> Direction {
        match self {
            Self::Asc => Direction::Ascending,
            Self::Desc => Direction::Descending,
        }
    }

    /// Returns which of two events comes first.
    pub fn compare(self, a: &ReceivedEvent, b: &ReceivedEvent) -> Ordering {
        self.direction().apply(a.occurred.cmp(&b.occurred).then_with(|| a.id.cmp(&b.id)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{FlowId, FlowRunId, Timestamp};

    fn run(name: &str, start: Option<&str>, expected: Option<&str>) -> FlowRun {
        let time = |text: Option<&str>| text.map(|text| text.parse().unwrap());
        let mut run = FlowRun::new(FlowRunId::new(), FlowId::new(), name, Timestamp::now());
        run.start_time = time(start);
        run.expected_start_time = time(expected);
        run.end_time = run.start_time;
        run
    }

    fn names(sort: FlowRunSort, mut runs: Vec<FlowRun>) -> String {
        runs.sort_by(|a, b| sort.compare(a, b));
        runs.iter().map(|run| run.name.as_str()).collect()
    }

    #[test]
    fn puts_nulls_first_ascending_and_last_descending() {
        let (early, late) = ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z");
        let runs = || vec![run("a", Some(late), None), run("b", None, None), run("c", Some(early), None)];
        assert_eq!(names(FlowRunSort::StartTimeAsc, runs()), "bca");
        assert_eq!(names(FlowRunSort::EndTimeDesc, runs()), "acb");
    }

    #[test]
    fn sorts_by_the_expected_time_where_a_run_has_not_started() {
        let [first, second, third] = ["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z"];
        let runs = || vec![run("a", Some(third), Some(first)), run("b", None, Some(second))];
        assert_eq!(names(FlowRunSort::StartTimeAsc, runs()), "ba");
        assert_eq!(names(FlowRunSort::ExpectedStartTimeAsc, runs()), "ab");
    }

    #[test]
    fn sorts_names_by_their_bytes() {
        let runs = || ["b", "É", "a", "Z"].map(|name| run(name, None, None)).to_vec();
        assert_eq!(names(FlowRunSort::NameAsc, runs()), "ZabÉ");
        assert_eq!(names(FlowRunSort::NameDesc, runs()), "ÉbaZ");
    }

    #[test]
    fn settles_ties_by_the_id_in_the_sort_s_direction() {
        let (a, b) = (run("same", None, None), run("same", None, None));
        assert_eq!(FlowRunSort::NameAsc.compare(&a, &b), a.id.cmp(&b.id));
        assert_eq!(FlowRunSort::NameDesc.compare(&a, &b), b.id.cmp(&a.id));
    }

    #[test]
    fn is_named_as_in_the_contract() {
        let text = serde_json::to_string(&FlowRunSort::NextScheduledStartTimeAsc).unwrap();
        assert_eq!(text, "\"NEXT_SCHEDULED_START_TIME_ASC\"");
        assert_eq!(serde_json::from_str::<EventOrder>("\"DESC\"").unwrap(), EventOrder::Desc);
    }
}
