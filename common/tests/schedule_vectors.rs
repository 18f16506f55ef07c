//! Replays what `tests/schedules/record.py` recorded on the oracle, and compares it exactly.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a broken vector must fail the test")]

use std::fmt::Write as _;

use common::{
    contract::{Operation, Request},
    model::{Timestamp, deployment::Schedule},
    schedule::{self, Span},
};
use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};
use serde::Deserialize;
use serde_json::{Value, json};

const VECTORS: &str = include_str!("../../tests/schedules/vectors.json");
const COUNT: usize = 12;

#[derive(Deserialize)]
struct Vectors {
    schedules: Vec<Recorded>,
    verdicts: Vec<Verdict>,
    normalized: Vec<(String, Option<String>, String)>,
    zones: Vec<String>,
}

#[derive(Deserialize)]
struct Recorded {
    schedule: Schedule,
    from: Vec<(f64, Option<Vec<f64>>)>,
}

#[derive(Deserialize)]
struct Verdict {
    sent: Value,
    answer: Option<Value>,
    errors: Option<Vec<(Value, String, String)>>,
}

impl Verdict {
    /// Returns what the contract's validation says of a new schedule: the stored one, or the errors.
    fn ours(&self, now: Timestamp) -> Result<Schedule, Vec<(Value, String, String)>> {
        let operation = Operation::find("POST", "/deployments/{id}/schedules").expect("the operation");
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        let body = serde_json::to_vec(&json!([{"schedule": self.sent}])).unwrap();
        let path = [("id", "01a2034c-a60e-77df-8caf-82a280613781")];
        let request = Request { path: &path, query: "", headers: &headers, body: &body };
        match operation.validate(&request) {
            Ok(valid) => {
                let schedule: Schedule = serde_json::from_value(valid.body[0]["schedule"].clone()).unwrap();
                Ok(schedule.completed(now))
            }
            Err(rejection) => {
                let (_, answer) = rejection.into_answer();
                let errors = answer["exception_detail"].as_array().unwrap().iter().map(|error| {
                    let place = Value::Array(error["loc"].as_array().unwrap()[2..].to_vec());
                    (place, error["type"].as_str().unwrap().to_owned(), error["msg"].as_str().unwrap().to_owned())
                });
                Err(errors.collect())
            }
        }
    }
}

fn vectors() -> Vectors {
    serde_json::from_str(VECTORS).expect("vectors.json is as recorded")
}

/// Tells whether an expression names years, after which the oracle breaks down instead of answering those before.
fn is_used_up(schedule: &Schedule) -> bool {
    matches!(schedule, Schedule::Cron { cron, .. } if cron.split(' ').count() == 7)
}

/// Returns what an interval below a day is to find in elapsed time, where the oracle skips an hour that comes twice.
fn elapsed(schedule: &Schedule, start: Timestamp, end: Timestamp) -> Option<Vec<Timestamp>> {
    let Schedule::Interval { interval, anchor_date: Some(anchor), .. } = schedule else { return None };
    let (interval, anchor) = (interval.as_micros(), anchor.as_micros());
    if interval >= 86_400_000_000 {
        return None;
    }
    let after_start = (start.as_micros() - anchor).rem_euclid(interval);
    let first = start.as_micros() + if after_start == 0 { 0 } else { interval - after_start };
    let instants = (0..).take(COUNT).map(|step| Timestamp::from_micros(first + step * interval).unwrap());
    Some(instants.take_while(|instant| *instant <= end).collect())
}

fn at(seconds: f64) -> Timestamp {
    Timestamp::from_micros(0).unwrap().plus_seconds(seconds)
}

#[test]
fn finds_the_instants_that_the_oracle_finds() {
    let recorded = vectors().schedules;
    assert!(recorded.len() >= 300, "only {} schedules", recorded.len());
    let mut report = String::new();
    let (mut different, mut elapsed_on_purpose) = (0, 0);
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
            if found != wanted && Some(&found) == elapsed(schedule, start, end).as_ref() {
                elapsed_on_purpose += 1;
            } else if found != wanted {
                different += 1;
                let text = |times: &[Timestamp]| times.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
                let schedule = serde_json::to_string(schedule).unwrap();
                writeln!(report, "{schedule} from {start}\n  got    {}\n  wanted {}", text(&found), text(&wanted))
                    .unwrap();
            }
        }
    }
    assert!(different == 0, "{different} differ:\n{report}");
    assert!((1..=30).contains(&elapsed_on_purpose), "{elapsed_on_purpose} go on in elapsed time");
}

#[test]
fn says_of_good_and_bad_schedules_what_the_oracle_says() {
    let now: Timestamp = "2026-02-03T04:05:06Z".parse().unwrap();
    let mut report = String::new();
    for verdict in vectors().verdicts {
        let wanted = match (&verdict.answer, &verdict.errors) {
            (Some(answer), _) => {
                let mut answer = answer.clone();
                if answer["anchor_date"] == "now" {
                    answer["anchor_date"] = now.to_string().into();
                }
                Ok(serde_json::from_value(answer).unwrap())
            }
            (None, Some(errors)) => Err(errors.clone()),
            // The oracle breaks down, ours refuses.
            (None, None) => {
                assert!(verdict.ours(now).is_err(), "{} is taken", verdict.sent);
                continue;
            }
        };
        let ours = verdict.ours(now);
        if ours != wanted {
            writeln!(report, "{}\n  got    {ours:?}\n  wanted {wanted:?}", verdict.sent).unwrap();
        }
    }
    assert!(report.is_empty(), "{report}");
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
        let completed = |rrule| Schedule::RRule { rrule, timezone: zone.clone() }.completed(now);
        assert_eq!(completed(rule), Schedule::RRule { rrule: wanted, timezone: zone.clone() });
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
