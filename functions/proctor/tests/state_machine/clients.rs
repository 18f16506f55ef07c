//! What clients do: anything, in any order.

use std::sync::Arc;

use axum::{
    body::{Body, to_bytes},
    http::{Method, Request, StatusCode},
};
use common::model::{StateId, StateType, TaskRunId, Timestamp};
use serde_json::{Value, json};
use tower::ServiceExt;
use uuid::Uuid;

use crate::{
    random::Random,
    world::{DOOMED, Kind, SHORT_WHILE, TAG, World},
};

use StateType::{Cancelling, Completed, Failed, Paused, Pending, Running};

/// How many things one client does.
const DEEDS: usize = 16;
/// How often a client repeats a request that was answered 503.
const REPEATS: usize = 30;

/// One of the clients.
struct Client {
    world: Arc<World>,
    random: Random,
    seed: u64,
}

/// Does one thing after the other until it has had enough.
pub(crate) async fn client(world: Arc<World>, seed: u64) {
    let mut client = Client { world, random: Random(seed), seed };
    for _ in 0..DEEDS {
        match client.random.below(24) {
            0 => client.delete().await,
            1 => client.delete_many().await,
            2 => client.treat_many_later().await,
            3 => client.add_run().await,
            4 => client.add_task_run().await,
            5..8 => client.poll().await,
            8..10 => client.resume().await,
            _ => client.propose_anything().await,
        }
    }
}

impl Client {
    /// Sends a request as the Prefect client does: again, with the same body, as long as it is answered 503.
    async fn send(&self, method: Method, path: &str, body: &Value, later: bool) -> (StatusCode, Value) {
        for _ in 0..REPEATS {
            let mut request = Request::builder()
                .method(method.clone())
                .uri(path)
                .header("content-type", "application/json")
                .header("user-agent", "prefect/3.9.1 (API 0.8.4)")
                .header("x-prefect-api-version", "0.8.4");
            if later {
                request = request.header("prefer", "respond-async");
            }
            let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
            let answer = self.world.service.clone().oneshot(request.body(body).unwrap()).await.unwrap();
            let status = answer.status();
            if status != StatusCode::SERVICE_UNAVAILABLE {
                let text = to_bytes(answer.into_body(), 1_000_000).await.unwrap();
                return (status, serde_json::from_slice(&text).unwrap_or_default());
            }
        }
        panic!("{path} was answered 503 to the end");
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        let (status, answer) = self.send(Method::POST, path, body, false).await;
        assert!(status.is_success(), "{path} {body}: {status} {answer}");
        answer
    }

    fn any_run(&mut self) -> Kind {
        let runs = self.world.ledger().runs.clone();
        *self.random.of(&runs)
    }

    fn new_id(&mut self) -> Uuid {
        Uuid::from_u64_pair(self.random.next(), self.seed)
    }

    async fn propose_anything(&mut self) {
        let run = self.any_run();
        let likely = [Pending, Pending, Pending, Running, Running, Running, Completed, Failed, Paused];
        let all = [&likely[..], &StateType::ALL].concat();
        let proposed = *self.random.of(&all);
        let is_forced = self.random.one_in(10);
        let mut details = json!({});
        if proposed == Paused {
            let wait = SHORT_WHILE * f64::from(u32::try_from(self.random.below(4)).unwrap()) / 2.0;
            details["pause_timeout"] = json!(Timestamp::now().plus_seconds(wait));
            details["pause_reschedule"] = json!(self.random.one_in(2));
            details["pause_key"] = json!(self.new_id().to_string());
        }
        self.propose(run, proposed, details, is_forced).await;
    }

    /// Proposes a state, at times twice; returns whether it was entered.
    async fn propose(&mut self, run: Kind, proposed: StateType, mut details: Value, is_forced: bool) -> bool {
        let transition = self.new_id();
        details["transition_id"] = json!(transition);
        if is_forced {
            self.world.ledger().forced.insert(transition);
        }
        let body = json!({"state": {"type": proposed, "state_details": details}, "force": is_forced});
        let path = format!("{}/set_state", run.path());
        let mut is_entered = false;
        for _ in 0..if self.random.one_in(5) { 2 } else { 1 } {
            let (status, answer) = self.send(Method::POST, &path, &body, false).await;
            let mut ledger = self.world.ledger();
            if status == StatusCode::NOT_FOUND {
                assert!(ledger.may_be_gone(run), "{path}: nobody deleted the run");
                return false;
            }
            assert!(status.is_success(), "{path} {body}: {status} {answer}");
            if answer["status"] == "ACCEPT" && status == StatusCode::CREATED {
                is_entered = true;
                let state: StateId = serde_json::from_value(answer["state"]["id"].clone()).unwrap();
                ledger.entered.push((run.uuid(), state));
            }
        }
        is_entered
    }

    /// Asks for runs as a worker does, and starts them.
    async fn poll(&mut self) {
        let body = json!({"deployment_ids": self.world.deployments, "limit": 3});
        let answer = self.post("/api/deployments/get_scheduled_flow_runs", &body).await;
        for found in answer.as_array().unwrap() {
            assert_eq!(found["state_type"], "SCHEDULED", "a run that is handed out waits: {found}");
            let id = found["id"].clone();
            let run = self.world.ledger().runs.iter().copied().find(|run| json!(run.uuid()) == id);
            let Some(run) = run else { continue };
            if self.propose(run, Pending, json!({}), false).await && self.random.one_in(2) {
                self.propose(run, Running, json!({}), false).await;
                let end = *self.random.of(&[Completed, Failed, Cancelling]);
                self.propose(run, end, json!({}), false).await;
            }
        }
    }

    async fn resume(&mut self) {
        let run = self.any_run();
        let Kind::Flow { .. } = run else { return };
        let path = format!("{}/resume", run.path());
        let (status, answer) = self.send(Method::POST, &path, &json!({}), false).await;
        let is_gone = status == StatusCode::NOT_FOUND && self.world.ledger().may_be_gone(run);
        assert!(is_gone || status.is_success(), "{path}: {status} {answer}");
    }

    async fn add_run(&mut self) {
        let deployment = *self.random.of(&self.world.deployments.clone());
        let is_doomed = self.random.one_in(3);
        let tags: &[&str] = if is_doomed { &[DOOMED] } else { &[] };
        let path = format!("/api/deployments/{deployment}/create_flow_run");
        let body = json!({"tags": tags, "empirical_policy": {"retries": 1, "retry_delay": 0}});
        let answer = self.post(&path, &body).await;
        let id = serde_json::from_value(answer["id"].clone()).unwrap();
        let mut ledger = self.world.ledger();
        ledger.runs.push(Kind::Flow { id, is_deployed: true, is_doomed });
        // A bulk deletion that is still going on may be about it.
        let is_over = !ledger.doomed.contains(&Uuid::nil());
        if is_doomed && !is_over {
            ledger.doomed.insert(id.0);
        }
    }

    /// Adds a task run to a flow run, which may be deleted in the meantime.
    async fn add_task_run(&mut self) {
        let Kind::Task { around, .. } = self.any_run() else { return };
        let (id, key) = (TaskRunId(self.new_id()), self.new_id());
        let body = json!({
            "id": id, "flow_run_id": around, "task_key": "task", "dynamic_key": key, "tags": [TAG], "name": "task",
        });
        let (status, answer) = self.send(Method::POST, "/api/task_runs/", &body, false).await;
        let mut ledger = self.world.ledger();
        if status.is_success() {
            ledger.runs.push(Kind::Task { id, around });
        } else {
            assert!(ledger.doomed.contains(&around.0), "{body}: {status} {answer}");
        }
    }

    async fn delete(&mut self) {
        let mut run = self.any_run();
        if let Kind::Task { around, .. } = run
            && self.random.one_in(4)
        {
            run = Kind::Flow { id: around, is_deployed: false, is_doomed: false };
        }
        self.world.ledger().doomed.insert(run.uuid());
        for _ in 0..if self.random.one_in(3) { 2 } else { 1 } {
            let (status, answer) = self.send(Method::DELETE, &run.path(), &Value::Null, false).await;
            let is_told = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_FOUND);
            assert!(is_told, "DELETE {}: {status} {answer}", run.path());
            self.world.ledger().deleted.insert(run.uuid());
        }
    }

    async fn delete_many(&mut self) {
        let named: Vec<Uuid> = (0..2).map(|_| self.any_run().uuid()).collect();
        self.world.ledger().doomed.extend(&named);
        let filter = json!({"flow_runs": {"id": {"any_": named}}, "limit": 50});
        let answer = self.post("/api/flow_runs/bulk_delete", &filter).await;
        let deleted: Vec<Uuid> = serde_json::from_value(answer["deleted"].clone()).unwrap();
        assert!(deleted.iter().all(|id| named.contains(id)), "{deleted:?} are not among {named:?}");
        self.world.ledger().deleted.extend(deleted);
    }

    /// Begins to delete or to cancel all runs with a tag, which the queue's workers go on with.
    async fn treat_many_later(&mut self) {
        let filter = json!({"tags": {"all_": [DOOMED]}});
        let (path, body) = if self.random.one_in(2) {
            let mut ledger = self.world.ledger();
            // From now on, new ones with the tag may go as well.
            ledger.doomed.insert(Uuid::nil());
            let doomed: Vec<Uuid> = ledger.runs.iter().filter(|run| is_doomed(**run)).map(|run| run.uuid()).collect();
            ledger.doomed.extend(doomed);
            ("/api/flow_runs/bulk_delete", json!({"flow_runs": filter}))
        } else {
            ("/api/flow_runs/bulk_set_state", json!({"flow_runs": filter, "state": {"type": "CANCELLED"}}))
        };
        let (status, answer) = self.send(Method::POST, path, &body, true).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{path}: {answer}");
    }
}

fn is_doomed(run: Kind) -> bool {
    matches!(run, Kind::Flow { is_doomed: true, .. })
}
