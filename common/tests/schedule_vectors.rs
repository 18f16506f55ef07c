//! Replays what `tests/schedules/record.py` recorded on the oracle, and compares it exactly.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a broken vector must fail the test")]

use std::fmt::Write as _;

use common::{
    model::{Timestamp, deployment::Schedule},
    schedule::{self, Span},
};
use serde::Deserialize;
use serde_json::Value;

const VECTORS: &str = include_str!("../../tests/schedules/vectors.json");
const COUNT: usize = 12;

#[derive(Deserialize)]
struct Vectors {
    schedules: Vec<Recorded>,
    normalized: Vec<(String, Option<String>, String)>,
    zones: Vec<String>,
}

#[derive(Deserialize)]
struct Recorded {
    schedule: Schedule,
    from: Vec<(f64, Option<Vec<f64>>)>,
}

fn vectors() -> Vectors {
    serde_json::from_str(VECTORS).expect("vectors.json is as recorded")
}

/// Tells whether an expression names years, after which the oracle breaks down instead of answering those before.
fn is_used_up(schedule: &Schedule) -> bool {
    matches!(schedule, Schedule::Cron { cron, .. } if cron.split(' ').count() == 7)
}

fn at(seconds: f64) -> Timestamp {
    Timestamp::from_micros(0).unwrap().plus_seconds(seconds)
}

#[test]
fn finds_the_instants_that_the_oracle_finds() {
    let recorded = vectors().schedules;
    assert!(recorded.len() >= 300, "only {} schedules", recorded.len());
    let mut report = String::new();
    let mut different = 0;
    let end: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    for Recorded { schedule, from } in &recorded {
        for (start, distances) in from {
            let start = at(*start);
            let found = schedule::instants(schedule, Span { start, end: Some(end), count: COUNT });
            if distances.is_none() && is_used_up(schedule) {
                continue;
            }
            // Where else the oracle breaks down, there is nothing to be had.
            let mut time = 0.0;
            let wanted: Vec<Timestamp> = (distances.as_deref().unwrap_or_default().iter())
                .map(|distance| {
                    time += distance;
                    at(time)
                })
                .collect();
            if found != wanted {
                different += 1;
                let text = |times: &[Timestamp]| times.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
                let schedule = serde_json::to_string(schedule).unwrap();
                writeln!(report, "{schedule} from {start}\n  got    {}\n  wanted {}", text(&found), text(&wanted))
                    .unwrap();
            }
        }
    }
    assert!(different == 0, "{different} differ:\n{report}");
}

#[test]
fn knows_the_time_zones_that_the_oracle_knows() {
    let unknown: Vec<String> = vectors().zones.into_iter().filter(|zone| !schedule::is_time_zone(zone)).collect();
    assert_eq!(unknown, ["localtime"]);
}

#[test]
fn gives_rules_the_start_that_the_oracle_gives_them() {
    let now = "2026-02-03T04:05:06Z".parse().unwrap();
    for (rule, zone, wanted) in vectors().normalized {
        assert_eq!(schedule::with_start(&rule, zone.as_deref(), now), wanted, "{rule} in {zone:?}");
    }
}

#[test]
fn reads_back_what_the_oracle_answers() {
    let recorded: Value = serde_json::from_str(VECTORS).unwrap();
    for vector in recorded["schedules"].as_array().unwrap() {
        let schedule: Schedule = serde_json::from_value(vector["schedule"].clone()).unwrap();
        let written = serde_json::to_value(&schedule).unwrap();
        let same = |field: &str| {
            let instant = |value: &Value| value[field].as_str().and_then(|text| text.parse::<Timestamp>().ok());
            written[field] == vector["schedule"][field] || instant(&written) == instant(&vector["schedule"])
        };
        assert!(written.as_object().unwrap().keys().all(|field| same(field)), "{written} is not {vector}");
    }
}
