//! Compares the schedules around changes of clocks with what Prefect 3.9.1 makes of them, case by case.
//!
//! `tests/schedules/edges.json` has 2,096 schedules, each with the instants that the real server found on Python 3.11, and
//! those of Python 3.13 where they are others.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a broken vector must fail the test")]

use std::fmt::Write as _;

use common::{
    model::{Timestamp, deployment::Schedule},
    schedule::{self, Span},
};
use serde::Deserialize;

const EDGES: &str = include_str!("../../tests/schedules/edges.json");
const DAY: f64 = 86_400.0;

#[derive(Deserialize)]
struct Edge {
    #[serde(flatten)]
    schedule: Schedule,
    start: Timestamp,
    end: Option<Timestamp>,
    n: usize,
    dates_3_9_1: Vec<Timestamp>,
    dates_3_9_1_py313: Option<Vec<Timestamp>>,
}

impl Edge {
    /// Tells whether the schedule goes on in elapsed time, and not as Prefect on Python 3.11, which compares what clocks
    /// show and so skips an hour that comes twice.
    fn is_elapsed(&self) -> bool {
        matches!(&self.schedule, Schedule::Interval { interval, .. } if interval.as_f64() < DAY)
    }

    /// Returns the instants that are right, in order: Python sorts those of an hour that comes twice by what clocks show.
    fn wanted(&self) -> Vec<Timestamp> {
        let mut wanted = match &self.dates_3_9_1_py313 {
            Some(elapsed) if self.is_elapsed() => elapsed.clone(),
            _ => self.dates_3_9_1.clone(),
        };
        wanted.sort();
        wanted
    }
}

#[test]
fn finds_what_prefect_finds_around_changes_of_clocks() {
    let edges: Vec<Edge> = serde_json::from_str(EDGES).expect("edges.json is as recorded");
    assert_eq!(edges.len(), 2096);
    let (mut report, mut different, mut intended) = (String::new(), 0, 0);
    for edge in &edges {
        let found = schedule::instants(&edge.schedule, Span { start: edge.start, end: edge.end, count: edge.n });
        intended += usize::from(edge.wanted() != edge.dates_3_9_1);
        if found != edge.wanted() {
            different += 1;
            let text = |times: &[Timestamp]| times.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
            let schedule = serde_json::to_string(&edge.schedule).unwrap();
            writeln!(
                report,
                "{schedule} from {}\n  got    {}\n  wanted {}",
                edge.start,
                text(&found),
                text(&edge.wanted())
            )
            .unwrap();
        }
    }
    assert!(different == 0, "{different} differ:\n{report}");
    assert!(intended > 0, "no case has an hour that comes twice");
}

#[test]
fn an_interval_below_a_day_is_elapsed_time() {
    let edges: Vec<Edge> = serde_json::from_str(EDGES).expect("edges.json is as recorded");
    let (mut checked, mut gaps) = (0, 0);
    for edge in edges.iter().filter(|edge| edge.is_elapsed()) {
        let Schedule::Interval { interval, .. } = &edge.schedule else { continue };
        let found = schedule::instants(&edge.schedule, Span { start: edge.start, end: edge.end, count: edge.n });
        let distances = found.windows(2).map(|pair| pair[1].seconds_since(pair[0]));
        gaps += distances.filter(|distance| (distance - interval.as_f64()).abs() > 1e-6).count();
        checked += 1;
    }
    assert!(checked > 500 && gaps == 0, "{gaps} gaps in {checked} schedules");
}
