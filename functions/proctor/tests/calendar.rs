//! Every time and every length of time that the contract lets in is stored so that it can be read, listed and deleted, and
//! nothing of it keeps the server from acting on what is due.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Method, Request, StatusCode},
};
use common::{App, Settings, Store};
use proctor::{check, database::Database, output::Form, services::Services};
use serde_json::{Value, json};
use tokio::sync::watch;
use tower::ServiceExt;
use uuid::Uuid;

/// Times at the edges of the calendar, and beyond them.
const TIMES: [&str; 13] = [
    "0000-01-01T00:00:00+14:00",
    "0001-01-01T00:00:00+14:00",
    "0001-01-01T00:00:00Z",
    "0001-01-01T00:00:00-14:00",
    "1969-12-31T23:59:59.999999Z",
    "1970-01-01T00:00:00Z",
    "9998-12-31T23:59:59Z",
    "9999-12-31T00:00:00+14:00",
    "9999-12-31T23:59:45Z",
    "9999-12-31T23:59:59Z",
    "9999-12-31T23:59:59.999999Z",
    "9999-12-31T23:59:59-14:00",
    "+10000-01-01T00:00:00Z",
];

/// Lengths of time in seconds, some of them longer than the calendar.
fn lengths() -> Vec<Value> {
    let whole = [0, 1, -1, 1_000_000_000, 1_000_000_000_000, -1_000_000_000_000, i64::MAX, i64::MIN];
    let mut lengths: Vec<Value> = whole.map(Value::from).to_vec();
    lengths.extend([json!(1e-7), json!(1e15), json!(-1e15), json!(1e300), json!(u64::MAX)]);
    lengths
}

struct World {
    app: Router,
    store: Store,
    stop: watch::Sender<bool>,
    services: Services,
}

impl World {
    fn new() -> Self {
        let database = Database::Sqlite(sqlite::Database::in_memory().unwrap());
        let local = Settings { shards: 1, timers_ahead: 0.0, late_runs_after: 0.0, ..Settings::default() };
        let settings = Settings { timers_interval: 0.1, ..local };
        let app = App::new(database.store(&settings.table, settings.shards), settings);
        let (stop, stopping) = watch::channel(false);
        let services = Services::start(&app, &database, &stopping).unwrap();
        Self { store: app.store.clone(), app: proctor::app(app), stop, services }
    }

    async fn call(&self, method: Method, path: &str, body: &Value) -> (StatusCode, Value) {
        let request = Request::builder().method(method.clone()).uri(format!("/api{path}"));
        let request = request.header("content-type", "application/json").body(Body::from(body.to_string())).unwrap();
        let response = self.app.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let answer = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
        assert!(!status.is_server_error(), "{method} {path} {body} answered {status}: {answer}");
        (status, answer)
    }

    async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        self.call(Method::POST, path, &body).await
    }

    /// Reads a page of every kind, and deletes each record that is in one; each deletion must succeed.
    async fn read_and_delete_everything(&self) {
        for path in
            ["/logs/filter", "/events/filter", "/flow_runs/history", "/task_runs/history", "/flow_runs/lateness"]
        {
            let history = json!({"history_start": TIMES[2], "history_end": TIMES[9], "history_interval_seconds": 1e12});
            self.post(path, if path.ends_with("history") { history } else { json!({}) }).await;
        }
        let (_, workers) = self.post("/work_pools/pool/workers/filter", json!({})).await;
        for worker in workers.as_array().unwrap() {
            self.delete(&format!("/work_pools/pool/workers/{}", worker["name"].as_str().unwrap())).await;
        }
        for kind in ["flow_runs", "task_runs", "deployments", "flows", "work_pools"] {
            for attempt in 0.. {
                let (_, page) = self.post(&format!("/{kind}/filter"), json!({})).await;
                let page = page.as_array().unwrap();
                if page.is_empty() {
                    break;
                }
                assert!(attempt < 50, "{kind} can't be deleted: {page:?}");
                for record in page {
                    let name = if kind == "work_pools" { &record["name"] } else { &record["id"] };
                    let path = format!("/{kind}/{}", name.as_str().unwrap());
                    assert_eq!(self.call(Method::GET, &path, &json!({})).await.0, StatusCode::OK);
                    self.delete(&path).await;
                }
            }
        }
    }

    async fn delete(&self, path: &str) {
        let (status, answer) = self.call(Method::DELETE, path, &json!({})).await;
        assert_eq!(status, StatusCode::NO_CONTENT, "{path}: {answer}");
    }

    async fn flow(&self) -> Value {
        self.post("/flows/", json!({"name": "a flow"})).await.1["id"].clone()
    }
}

fn task_run_event(task_run: Uuid, flow_run: &Value, time: &str) -> Value {
    json!({
        "occurred": "2026-01-31T09:30:00Z",
        "event": "prefect.task-run.Running",
        "resource": {"prefect.resource.id": format!("prefect.task-run.{task_run}"), "prefect.orchestration": "client"},
        "related": [{"prefect.resource.id": format!("prefect.flow-run.{}", flow_run.as_str().unwrap()),
                     "prefect.resource.role": "flow-run"}],
        "payload": {
            "validated_state": {"type": "RUNNING", "name": "Running", "timestamp": time,
                                "state_details": {"scheduled_time": time, "cache_expiration": time}},
            "task_run": {"name": "a", "task_key": "a", "dynamic_key": task_run, "start_time": time, "end_time": time,
                         "expected_start_time": time, "next_scheduled_start_time": time, "total_run_time": 1e12},
        },
        "id": Uuid::new_v4(),
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_time_is_sent_everything_can_be_read_listed_and_deleted() {
    let world = World::new();
    world.post("/work_pools/", json!({"name": "pool", "type": "process"})).await;
    let flow = world.flow().await;
    let (_, around) = world.post("/flow_runs/", json!({"flow_id": flow, "state": {"type": "RUNNING"}})).await;
    for time in TIMES {
        let details =
            json!({"scheduled_time": time, "pause_timeout": time, "cache_expiration": time, "cache_key": "k"});
        for r#type in ["SCHEDULED", "RUNNING", "PAUSED"] {
            let state = json!({"type": r#type, "timestamp": time, "state_details": details});
            world.post("/flow_runs/", json!({"flow_id": flow, "state": state})).await;
            let task_run = json!({"task_key": "t", "dynamic_key": format!("{type}{time}"), "state": state});
            world.post("/task_runs/", task_run).await;
            let (status, run) = world.post("/flow_runs/", json!({"flow_id": flow, "state": {"type": "RUNNING"}})).await;
            assert_eq!(status, StatusCode::CREATED);
            let path = format!("/flow_runs/{}/set_state", run["id"].as_str().unwrap());
            world.post(&path, json!({"state": state, "force": true})).await;
            world.post(&path, json!({"state": {"type": "FAILED", "timestamp": time}})).await;
        }
        let line = json!({"name": "a", "level": 20, "message": "m", "timestamp": time, "flow_run_id": around["id"]});
        world.post("/logs/", json!([line])).await;
        let resource = json!({"prefect.resource.id": "a"});
        world
            .post("/events", json!([{"occurred": time, "event": "e", "resource": resource, "id": Uuid::new_v4()}]))
            .await;
        world.post("/events", json!([task_run_event(Uuid::new_v4(), &around["id"], time)])).await;
        let schedule = json!({"interval": 86_400, "anchor_date": time});
        let deployment = json!({"name": time, "flow_id": flow, "schedules": [{"schedule": schedule, "active": true}]});
        world.post("/deployments/", deployment).await;
        for filter in ["expected_start_time", "start_time", "end_time", "next_scheduled_start_time"] {
            let filter = json!({"flow_runs": {(filter): {"before_": time, "after_": time}}});
            world.post("/flow_runs/filter", filter.clone()).await;
            world.post("/flow_runs/count", filter).await;
        }
    }
    // What is due is acted on, whatever lies beside it.
    let due = json!({"type": "SCHEDULED", "state_details": {"scheduled_time": "2026-01-01T00:00:00Z"}});
    let (_, due) = world.post("/flow_runs/", json!({"flow_id": flow, "state": due})).await;
    let path = format!("/flow_runs/{}", due["id"].as_str().unwrap());
    let is_late = async {
        while world.call(Method::GET, &path, &json!({})).await.1["state"]["name"] != "Late" {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), is_late).await.expect("what is due is found");
    let (report, _) = check::carry_out(&world.store, check::File::default(), false, Form::default()).await.unwrap();
    assert_eq!(report.left(), 0, "{report}");
    world.read_and_delete_everything().await;
    world.stop.send(true).unwrap();
    world.services.join().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_length_of_time_is_sent_everything_can_be_read_listed_and_deleted() {
    let world = World::new();
    world.post("/work_pools/", json!({"name": "pool", "type": "process"})).await;
    let flow = world.flow().await;
    for (place, length) in lengths().into_iter().enumerate() {
        let heartbeat = json!({"name": format!("worker-{place}"), "heartbeat_interval_seconds": length});
        world.post("/work_pools/pool/workers/heartbeat", heartbeat).await;
        for policy in
            [json!({"retries": 3, "retry_delay": length}), json!({"retries": 3, "retry_delay_seconds": length})]
        {
            let run = json!({"flow_id": flow, "empirical_policy": policy, "state": {"type": "RUNNING"}});
            let (status, run) = world.post("/flow_runs/", run).await;
            if status == StatusCode::CREATED {
                let path = format!("/flow_runs/{}/set_state", run["id"].as_str().unwrap());
                world.post(&path, json!({"state": {"type": "FAILED"}})).await;
            }
            let run = json!({"task_key": "t", "dynamic_key": format!("{place}{policy}"), "empirical_policy": policy});
            let (status, run) = world.post("/task_runs/", run).await;
            if status == StatusCode::CREATED {
                let path = format!("/task_runs/{}/set_state", run["id"].as_str().unwrap());
                for r#type in ["RUNNING", "FAILED"] {
                    world.post(&path, json!({"state": {"type": r#type}})).await;
                }
            }
        }
        let schedule = json!({"schedule": {"interval": length, "anchor_date": "2026-01-01T00:00:00Z"}, "active": true});
        let deployment = json!({"name": format!("deployment-{place}"), "flow_id": flow, "schedules": [schedule]});
        world.post("/deployments/", deployment).await;
        let plain = json!({"name": format!("agreed-{place}"), "flow_id": flow});
        let (_, deployment) = world.post("/deployments/", plain).await;
        let path = format!("/deployments/{}/slas", deployment["id"].as_str().unwrap());
        for (name, field) in [("a", "duration"), ("b", "within"), ("c", "stale_after")] {
            world.post(&path, json!([{"name": name, (field): length}])).await;
        }
        let lease = json!({"names": [], "slots": 1, "mode": "concurrency", "lease_duration": length});
        world.post("/v2/concurrency_limits/increment-with-lease", lease).await;
        let history = json!({"history_start": TIMES[2], "history_end": TIMES[9], "history_interval_seconds": length});
        world.post("/flow_runs/history", history).await;
        let pause = json!({"type": "PAUSED", "state_details": {"pause_timeout": length}});
        world.post("/flow_runs/", json!({"flow_id": flow, "state": pause})).await;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let (report, _) = check::carry_out(&world.store, check::File::default(), false, Form::default()).await.unwrap();
    assert_eq!(report.left(), 0, "{report}");
    world.read_and_delete_everything().await;
    world.stop.send(true).unwrap();
    world.services.join().await;
}
