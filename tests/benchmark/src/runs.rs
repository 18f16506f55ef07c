//! The flow runs that both servers hold: which they are, how they get in, and the proof that both hold the same.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::task::JoinSet;

use crate::events::text;
use crate::http::{Connection, Endpoint};

/// Connections that load runs at once.
const LOADERS: usize = 16;

/// How often a refused request is sent again while loading.
const ATTEMPTS: u32 = 20;

/// The most that one page of a filter holds.
pub(crate) const PAGE: usize = 200;

/// How far a flow run gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Course {
    Completed,
    Failed,
    Crashed,
    Running,
    Pending,
    Scheduled,
}

impl Course {
    /// Of a hundred runs: 60 completed, 10 failed, 9 crashed, 10 running, 10 pending, 1 scheduled.
    fn of(index: u32) -> Self {
        match index % 10 {
            0..=5 => Self::Completed,
            6 => Self::Failed,
            7 => Self::Running,
            8 => Self::Pending,
            _ if index % 100 == 99 => Self::Scheduled,
            _ => Self::Crashed,
        }
    }

    /// The first run that takes this course, which is the one that clones are made of.
    fn first(self) -> u32 {
        match self {
            Self::Completed => 0,
            Self::Failed => 6,
            Self::Running => 7,
            Self::Pending => 8,
            Self::Crashed => 9,
            Self::Scheduled => 99,
        }
    }

    /// The states that are set after the run was created.
    fn states(self) -> &'static [&'static str] {
        match self {
            Self::Completed => &["RUNNING", "COMPLETED"],
            Self::Failed => &["RUNNING", "FAILED"],
            Self::Crashed => &["RUNNING", "CRASHED"],
            Self::Running => &["RUNNING"],
            Self::Pending | Self::Scheduled => &[],
        }
    }
}

/// One of the flow runs that both servers hold.
#[derive(Debug, Clone)]
struct PlannedRun {
    index: u32,
    course: Course,
    /// Only for scheduled runs. It lies ahead, so that no background service touches the run.
    scheduled_time: Option<DateTime<Utc>>,
}

impl PlannedRun {
    fn new(index: u32, base: DateTime<Utc>) -> Self {
        let course = Course::of(index);
        let scheduled_time =
            (course == Course::Scheduled).then(|| base + TimeDelta::days(30) + TimeDelta::seconds(i64::from(index)));
        Self { index, course, scheduled_time }
    }

    fn name(&self) -> String {
        format!("run-{:07}", self.index)
    }

    fn parameters(&self) -> Value {
        json!({"number": self.index, "path": format!("s3://bucket/part-{:07}.parquet", self.index)})
    }

    fn tags(&self) -> Value {
        json!(["benchmark", format!("group-{}", self.index % 10)])
    }

    fn creation(&self, flow: &str) -> Value {
        let state = match self.scheduled_time {
            Some(time) => json!({"type": "SCHEDULED", "state_details": {"scheduled_time": text(time)}}),
            None => json!({"type": "PENDING"}),
        };
        json!({
            "flow_id": flow, "name": self.name(), "parameters": self.parameters(), "tags": self.tags(), "state": state,
        })
    }

    /// The line that tells the seeding script how to make this run out of its template.
    fn clone_order(&self) -> Value {
        json!({
            "name": self.name(),
            "template": PlannedRun { index: self.course.first(), ..self.clone() }.name(),
            "parameters": self.parameters(),
            "tags": self.tags(),
            "scheduled_time": self.scheduled_time.map(text),
        })
    }
}

/// Requests that did not succeed, by what came instead.
pub(crate) type Errors = BTreeMap<String, u64>;

/// Posts until it succeeds, counting what came instead, and returns the answer.
pub(crate) async fn insist(
    connection: &mut Connection,
    path: &str,
    body: &Value,
    errors: &mut Errors,
) -> Result<Value, String> {
    let body = body.to_string();
    let mut last = String::new();
    for _ in 0..ATTEMPTS {
        match connection.post(path, body.clone()).await {
            Ok(answer) if (200..300).contains(&answer.status) => return Ok(answer.json()),
            Ok(answer) => {
                *errors.entry(answer.status.to_string()).or_default() += 1;
                last = format!("{} {}", answer.status, String::from_utf8_lossy(&answer.body));
            }
            Err(error) => {
                *errors.entry("transport".to_owned()).or_default() += 1;
                last = error;
            }
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    Err(format!("POST {path} failed {ATTEMPTS} times, at last with: {last}"))
}

/// The id in an answer.
pub(crate) fn id_of(answer: &Value) -> Result<String, String> {
    answer["id"].as_str().map(str::to_owned).ok_or_else(|| format!("no id in {answer}"))
}

/// Loads one planned run through the API.
async fn load_run(
    connection: &mut Connection,
    flow: &str,
    run: &PlannedRun,
    errors: &mut Errors,
) -> Result<(), String> {
    let id = id_of(&insist(connection, "/flow_runs/", &run.creation(flow), errors).await?)?;
    for state in run.course.states() {
        let body = json!({"state": {"type": state}});
        insist(connection, &format!("/flow_runs/{id}/set_state"), &body, errors).await?;
    }
    Ok(())
}

/// Loads all runs through the API, many at once, and returns what failed on the way.
async fn load(endpoint: &Endpoint, flow: &str, runs: u32, base: DateTime<Utc>) -> Result<Errors, String> {
    let next = Arc::new(AtomicU32::new(0));
    let mut loaders = JoinSet::new();
    for _ in 0..LOADERS {
        let (next, flow, endpoint) = (Arc::clone(&next), flow.to_owned(), endpoint.clone());
        loaders.spawn(async move {
            let mut connection = Connection::new(endpoint);
            let mut errors = Errors::new();
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= runs {
                    return Ok::<_, String>(errors);
                }
                load_run(&mut connection, &flow, &PlannedRun::new(index, base), &mut errors).await?;
            }
        });
    }
    let mut errors = Errors::new();
    while let Some(loader) = loaders.join_next().await {
        for (error, count) in loader.map_err(|error| error.to_string())?? {
            *errors.entry(error).or_default() += count;
        }
    }
    Ok(errors)
}

/// Loads one run of each course through the API and clones the others in the oracle's database.
async fn seed(
    endpoint: &Endpoint,
    flow: &str,
    runs: u32,
    base: DateTime<Utc>,
    env: &Path,
    database: &Path,
) -> Result<Errors, String> {
    let mut connection = Connection::new(endpoint.clone());
    let mut errors = Errors::new();
    let mut orders = String::new();
    for run in (0..runs).map(|index| PlannedRun::new(index, base)) {
        if run.index == run.course.first() {
            load_run(&mut connection, flow, &run, &mut errors).await?;
        } else {
            orders.push_str(&run.clone_order().to_string());
            orders.push('\n');
        }
    }
    let mut script = Command::new(env.join("bin/python"))
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/seed_oracle.py"))
        .arg(database)
        .stdin(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("cannot run the seeding script with {}: {error}", env.display()))?;
    let mut input = script.stdin.take().ok_or("the seeding script has no input")?;
    input.write_all(orders.as_bytes()).await.map_err(|error| format!("the seeding script stopped reading: {error}"))?;
    drop(input);
    let status = script.wait().await.map_err(|error| error.to_string())?;
    if status.success() { Ok(errors) } else { Err(format!("the seeding script failed: {status}")) }
}

/// How the runs get into a server.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Filling<'a> {
    /// Through the API alone.
    App,
    /// Into the oracle's own database, because its API takes minutes.
    Seed { env: &'a Path, database: &'a Path },
}

/// Makes a server hold the planned runs, unless it does already, and returns the flow's id and what failed.
pub(crate) async fn fill(
    endpoint: &Endpoint,
    runs: u32,
    base: DateTime<Utc>,
    filling: Filling<'_>,
) -> Result<(String, Errors), String> {
    let mut connection = Connection::new(endpoint.clone());
    let mut errors = Errors::new();
    let flow = id_of(&insist(&mut connection, "/flows/", &json!({"name": "benchmark"}), &mut errors).await?)?;
    let held = count(&mut connection, &json!({})).await?;
    let more = match (held, filling) {
        (held, _) if held == u64::from(runs) => Errors::new(),
        (0, Filling::App) => load(endpoint, &flow, runs, base).await?,
        (0, Filling::Seed { env, database }) => seed(endpoint, &flow, runs, base, env, database).await?,
        (held, _) => {
            return Err(format!("{} holds {held} flow runs: give an empty server", endpoint.authority()));
        }
    };
    for (error, count) in more {
        *errors.entry(error).or_default() += count;
    }
    Ok((flow, errors))
}

async fn count(connection: &mut Connection, body: &Value) -> Result<u64, String> {
    let answer = connection.post("/flow_runs/count", body.to_string()).await?;
    answer.json().as_u64().ok_or_else(|| format!("the count answered {}", answer.status))
}

async fn page(connection: &mut Connection, sort: &str, offset: usize) -> Result<Vec<Value>, String> {
    let body = json!({"sort": sort, "limit": PAGE, "offset": offset});
    let answer = connection.post("/flow_runs/filter", body.to_string()).await?;
    match answer.json() {
        Value::Array(runs) if answer.status == 200 => Ok(runs),
        _ => Err(format!("a page by {sort} answered {}", answer.status)),
    }
}

/// What a server answers about the runs it holds, without its own ids and times.
#[derive(Debug, PartialEq)]
pub(crate) struct Holdings {
    pub(crate) total: u64,
    /// Counts by state type.
    pub(crate) by_state: BTreeMap<&'static str, u64>,
    /// Name, state, parameters and tags of the pages that the server answers by name.
    by_name: Vec<Value>,
    /// The names that lead the page by start time: the scheduled runs, latest first.
    scheduled: Vec<Value>,
}

/// Reads what a server holds, and the ids of up to a thousand of its runs.
pub(crate) async fn holdings(endpoint: &Endpoint, runs: u32) -> Result<(Holdings, Vec<String>), String> {
    let mut connection = Connection::new(endpoint.clone());
    let mut by_state = BTreeMap::new();
    for state in ["COMPLETED", "FAILED", "CRASHED", "RUNNING", "PENDING", "SCHEDULED"] {
        let filter = json!({"flow_runs": {"state": {"type": {"any_": [state]}}}});
        by_state.insert(state, count(&mut connection, &filter).await?);
    }
    let mut by_name = Vec::new();
    let mut ids = Vec::new();
    for offset in (0..runs as usize).step_by((runs as usize / 5).max(PAGE)) {
        for run in page(&mut connection, "NAME_ASC", offset).await? {
            ids.push(id_of(&run)?);
            by_name.push(json!([run["name"], run["state_type"], run["state"]["name"], run["parameters"], run["tags"]]));
        }
    }
    let latest = page(&mut connection, "START_TIME_DESC", 0).await?;
    let start = |run: &Value| {
        let time = run["start_time"].as_str().or(run["expected_start_time"].as_str())?;
        DateTime::parse_from_rfc3339(time).ok()
    };
    if !latest.iter().map(start).is_sorted_by(|earlier, later| earlier.is_some() && earlier >= later) {
        return Err(format!("{} does not sort by start time", endpoint.authority()));
    }
    let scheduled = latest.iter().filter(|run| run["state_type"] == "SCHEDULED").map(|run| run["name"].clone());
    let holdings = Holdings {
        total: count(&mut connection, &json!({})).await?,
        by_state,
        by_name,
        scheduled: scheduled.collect(),
    };
    Ok((holdings, ids))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_runs_hold_every_course() {
        let mut courses = BTreeMap::new();
        for index in 0..100 {
            *courses.entry(Course::of(index)).or_insert(0) += 1;
        }
        let expected = [
            (Course::Completed, 60),
            (Course::Failed, 10),
            (Course::Crashed, 9),
            (Course::Running, 10),
            (Course::Pending, 10),
            (Course::Scheduled, 1),
        ];
        assert_eq!(courses, BTreeMap::from(expected));
    }

    #[test]
    fn a_template_takes_its_own_course_first() {
        for index in 0..100 {
            let course = Course::of(index);
            assert_eq!(Course::of(course.first()), course);
            assert!(course.first() <= index);
        }
    }

    #[test]
    fn clones_are_ordered_by_name_of_their_template() {
        let run = PlannedRun::new(199, DateTime::UNIX_EPOCH);
        let order = run.clone_order();
        assert_eq!(order["name"], "run-0000199");
        assert_eq!(order["template"], "run-0000099");
        assert_eq!(order["scheduled_time"], "1970-01-31T00:03:19.000000Z");
        assert_eq!(PlannedRun::new(198, DateTime::UNIX_EPOCH).clone_order()["scheduled_time"], Value::Null);
    }
}
