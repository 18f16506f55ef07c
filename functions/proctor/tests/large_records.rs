//! Records that are larger than an item of DynamoDB, on both databases: each is taken, told of and deleted.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/websocket.rs"]
#[allow(dead_code, reason = "the server of these tests is started here")]
mod websocket;

use std::time::{Duration, Instant};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Method, Request, StatusCode},
};
use common::{
    App, Settings,
    model::Timestamp,
    store::backend::{Backend, DynamoDb},
};
use embedded::EmbeddedDatabase;
use futures::{SinkExt, StreamExt};
use proctor::{database::Database, services::Services};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch};
use tokio_tungstenite::tungstenite::Message;
use tower::ServiceExt;
use uuid::Uuid;

/// How long what follows from a write is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server with its background services.
struct World {
    router: Router,
    app: App,
    database: Database,
    _stop: watch::Sender<bool>,
}

/// Starts a server on SQLite, and one on the emulator of DynamoDB.
async fn worlds() -> [World; 2] {
    let emulator = Database::Emulator(EmbeddedDatabase::in_memory().unwrap());
    let sqlite = Database::Sqlite(sqlite::Database::in_memory().unwrap());
    [World::on(sqlite).await, World::on(emulator).await]
}

impl World {
    async fn on(database: Database) -> Self {
        let settings = Settings { shards: 1, ..Settings::default() };
        let store = database.store(&settings.table, 1);
        store.create_table().await.unwrap();
        let app = App::new(store, settings);
        let (stop, stopping) = watch::channel(false);
        let services = Services::start(&app, &database, &stopping).unwrap();
        tokio::spawn(services.join());
        Self { router: proctor::app(app.clone()), app, database, _stop: stop }
    }

    async fn call(&self, method: Method, path: &str, body: &Value) -> (StatusCode, Value) {
        let request = Request::builder().method(method).uri(format!("/api{path}"));
        let request = request.header("content-type", "application/json").body(Body::from(body.to_string())).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let answer = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, serde_json::from_slice(&answer).unwrap_or_default())
    }

    /// Sends a request that has to succeed.
    async fn done(&self, method: Method, path: &str, body: Value) -> Value {
        let (status, answer) = self.call(method.clone(), path, &body).await;
        assert!(status.is_success(), "{method} {path}: {status} {}", short(&answer));
        answer
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        self.done(Method::POST, path, body).await
    }

    async fn get(&self, path: &str) -> Value {
        self.done(Method::GET, path, Value::Null).await
    }

    /// Makes a flow run with these parameters; returns its path.
    async fn flow_run(&self, parameters: Value) -> String {
        let flow = self.post("/flows/", json!({"name": "large"})).await;
        let run = self.post("/flow_runs/", json!({"flow_id": flow["id"], "parameters": parameters})).await;
        format!("/flow_runs/{}", run["id"].as_str().unwrap())
    }

    /// Has a run enter a state, which has to be accepted.
    async fn enter(&self, run: &str, state: Value) {
        let answer = self.post(&format!("{run}/set_state"), json!({"state": state})).await;
        assert_eq!(answer["status"], "ACCEPT", "{}", answer["details"]);
    }

    /// Waits until there is an event of this name about the resource.
    async fn told(&self, event: &str, resource: &str) -> Value {
        let filter = json!({"filter": {"event": {"name": [event]}, "resource": {"id": [resource]}}});
        let began = Instant::now();
        loop {
            let found = self.post("/events/filter", filter.clone()).await;
            if let Some(event) = found["events"].get(0) {
                return event.clone();
            }
            assert!(began.elapsed() < PATIENCE, "{event} of {resource} is not told");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until `GET` of a path has this status.
    async fn answers(&self, path: &str, expected: StatusCode) {
        let began = Instant::now();
        while self.call(Method::GET, path, &Value::Null).await.0 != expected {
            assert!(began.elapsed() < PATIENCE, "{path} is not {expected}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Returns how many parts of texts there are; SQLite has none.
    async fn parts(&self) -> usize {
        let Database::Emulator(database) = &self.database else { return 0 };
        let client = aws_sdk_dynamodb::Client::from_conf(database.sdk_config());
        let table = DynamoDb::new(client, &self.app.settings.table);
        let (mut count, mut start) = (0, None);
        loop {
            let (page, _) = table.walk(start, 100).await.unwrap();
            count += page.items.iter().filter(|item| item.key.sk == "body_part").count();
            start = page.next;
            if start.is_none() {
                return count;
            }
        }
    }

    /// Waits until there are so many parts.
    async fn has_parts(&self, expected: usize) {
        let began = Instant::now();
        while self.parts().await != expected {
            assert!(began.elapsed() < PATIENCE, "{} parts are left, not {expected}", self.parts().await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Says that nothing was given up.
    async fn gave_nothing_up(&self) {
        assert_eq!(self.get("/dead_letters").await, json!([]));
    }
}

/// Returns a text that can't be compressed to less than half.
fn noise(bytes: usize) -> String {
    let mut text: String = (0..=bytes / 32).map(|_| Uuid::new_v4().simple().to_string()).collect();
    text.truncate(bytes);
    text
}

/// Returns the beginning of what may be very long.
fn short(value: &Value) -> String {
    value.to_string().chars().take(300).collect()
}

fn id_in(path: &str) -> &str {
    path.rsplit('/').next().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_state_is_refused_for_its_message_and_each_is_told_of() {
    for world in worlds().await {
        let messages = ["x".repeat(500_000), noise(500_000), "語".repeat(100_000), noise(2_000_000)];
        for message in messages {
            for parameters in [json!({}), json!({"beside": noise(300_000)})] {
                let run = world.flow_run(parameters.clone()).await;
                world.enter(&run, json!({"type": "RUNNING"})).await;
                world.enter(&run, json!({"type": "FAILED", "message": message})).await;
                let read = world.get(&run).await;
                assert!(read["state"]["message"] == json!(message) && read["parameters"] == parameters);
                let states = world.get(&format!("/flow_run_states/?flow_run_id={}", id_in(&run))).await;
                assert!(states.as_array().unwrap().last().unwrap()["message"] == json!(message));
                let event = world.told("prefect.flow-run.Failed", &format!("prefect.flow-run.{}", id_in(&run))).await;
                let told = event["resource"]["prefect.state-message"].as_str().unwrap();
                let is_cut = message.chars().count() > 100_000;
                assert_eq!(told.contains("additional characters"), is_cut);
                assert!(told.chars().count() <= 100_100 && told.starts_with(&message[..30]));
                assert!(told.ends_with(message.get(message.len() - 30..).unwrap()));
            }
        }
        world.gave_nothing_up().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_that_end_beside_a_large_one_are_told_of_like_any_other() {
    for world in worlds().await {
        let large = world.flow_run(json!({"text": noise(406_550)})).await;
        let mut others = Vec::new();
        for _ in 0..12 {
            others.push(world.flow_run(json!({})).await);
        }
        for (place, run) in others.iter().enumerate() {
            if place == 6 {
                world.enter(&large, json!({"type": "FAILED", "message": "語".repeat(100_000)})).await;
            }
            world.enter(run, json!({"type": "COMPLETED"})).await;
        }
        for run in &others {
            world.told("prefect.flow-run.Completed", &format!("prefect.flow-run.{}", id_in(run))).await;
        }
        world.told("prefect.flow-run.Failed", &format!("prefect.flow-run.{}", id_in(&large))).await;
        world.gave_nothing_up().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_with_as_many_parameters_as_prefect_takes_ends_and_goes_with_all_its_parts() {
    for world in worlds().await {
        assert_eq!(world.parts().await, 0);
        for bytes in [406_550, 450_000, 520_000] {
            let run = world.flow_run(json!({"text": noise(bytes)})).await;
            let id = id_in(&run).to_owned();
            world.enter(&run, json!({"type": "RUNNING"})).await;
            let data = json!({"type": "reference", "storage_key": noise(5_000_000)});
            world.enter(&run, json!({"type": "COMPLETED", "data": data})).await;
            let read = world.get(&run).await;
            assert_eq!(read["parameters"]["text"].as_str().unwrap().len(), bytes);
            assert!(read["state"]["data"] == data, "{}", short(&read["state"]));
            let found = world.post("/flow_runs/filter", json!({"flow_runs": {"id": {"any_": [id]}}})).await;
            assert!(found[0] == read, "{}", short(&found));
            let all = world.post("/flow_runs/filter", json!({"sort": "START_TIME_DESC", "limit": 1})).await;
            assert!(all[0] == read, "{}", short(&all));
            world.done(Method::DELETE, &run, Value::Null).await;
            world.answers(&run, StatusCode::NOT_FOUND).await;
        }
        world.has_parts(0).await;
        world.gave_nothing_up().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_is_kept_by_http_and_by_websocket_and_a_task_run_recorded_from_it() {
    for world in worlds().await {
        let run = world.flow_run(json!({})).await;
        let event = |name: &str, payload: &Value| {
            let resource = format!("prefect.task-run.{name}");
            json!({
                "occurred": Timestamp::now(),
                "event": "prefect.task-run.Completed",
                "resource": {
                    "prefect.resource.id": resource,
                    "prefect.orchestration": "client",
                },
                "related": [{
                    "prefect.resource.id": format!("prefect.flow-run.{}", id_in(&run)),
                    "prefect.resource.role": "flow-run",
                }],
                "payload": payload,
                "id": Uuid::new_v4(),
            })
        };
        // Six thousand results that a task was given.
        let inputs: Vec<Value> = (0..6_000).map(|_| json!({"input_type": "task_run", "id": Uuid::new_v4()})).collect();
        let id = Uuid::new_v4();
        let payload = json!({
            "intended": {"from": "RUNNING", "to": "COMPLETED"},
            "validated_state": {"type": "COMPLETED", "name": "Completed"},
            "task_run": {"task_key": "t", "dynamic_key": "0", "task_inputs": {"all": inputs}},
        });
        world.post("/events", json!([event(&id.to_string(), &payload)])).await;
        let path = format!("/task_runs/{id}");
        world.answers(&path, StatusCode::OK).await;
        let read = world.get(&path).await;
        assert_eq!(read["task_inputs"]["all"].as_array().unwrap().len(), 6_000);
        assert_eq!(read["state"]["type"], "COMPLETED");

        let large = json!({"text": noise(600_000)});
        world.post("/events", json!([event("http", &large)])).await;
        let told = world.told("prefect.task-run.Completed", "prefect.task-run.http").await;
        assert!(told["payload"] == large);

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(proctor::server::serve(listener, world.app.clone(), None, std::future::pending()));
        let mut socket = websocket::open(&address, "/events/in").await;
        websocket::authenticate(&mut socket, None).await;
        socket.send(Message::text(event("socket", &large).to_string())).await.unwrap();
        // Over what Prefect takes, it is dropped, and what comes after it is kept.
        let over = json!({"text": "x".repeat(1_600_000)});
        socket.send(Message::text(event("over", &over).to_string())).await.unwrap();
        socket.send(Message::text(event("after", &json!({})).to_string())).await.unwrap();
        socket.send(Message::Ping("checkpoint".into())).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), Message::Pong("checkpoint".into()));
        let told = world.told("prefect.task-run.Completed", "prefect.task-run.socket").await;
        assert!(told["payload"] == large);
        world.told("prefect.task-run.Completed", "prefect.task-run.after").await;
        let filter = json!({"filter": {"resource": {"id": ["prefect.task-run.over"]}}});
        assert_eq!(world.post("/events/filter", filter).await["total"], 0);
        world.gave_nothing_up().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployment_with_a_large_schema_is_deployed_again() {
    for world in worlds().await {
        let flow = world.post("/flows/", json!({"name": "large"})).await;
        let properties = |title: &str, bytes: usize| {
            let property = |place: usize| (format!("p{place}"), json!({"title": noise(1_000), "type": "string"}));
            let mut properties: serde_json::Map<String, Value> = (0..bytes / 1_000).map(property).collect();
            properties.insert("first".into(), json!({"title": title, "type": "string"}));
            Value::Object(properties)
        };
        for bytes in [157_000, 1_000_000] {
            let name = format!("of {bytes} bytes");
            let mut schema = json!({"type": "object", "properties": properties("one", bytes)});
            let body = |schema: &Value| {
                json!({
                    "name": name, "flow_id": flow["id"], "parameter_openapi_schema": schema,
                    "enforce_parameter_schema": false,
                })
            };
            let made = world.post("/deployments/", body(&schema)).await;
            schema["properties"]["first"]["title"] = json!("two");
            let again = world.post("/deployments/", body(&schema)).await;
            assert_eq!(made["id"], again["id"]);
            let path = format!("/deployments/{}", again["id"].as_str().unwrap());
            assert!(world.get(&path).await["parameter_openapi_schema"] == schema);
            let resource = format!("prefect.deployment.{}", again["id"].as_str().unwrap());
            world.told("prefect.deployment.created", &resource).await;
            world.told("prefect.deployment.updated", &resource).await;
            world.done(Method::DELETE, &path, Value::Null).await;
            world.told("prefect.deployment.deleted", &resource).await;
        }
        world.gave_nothing_up().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn artifacts_inputs_and_lines_of_logs_are_kept_and_changed_whole() {
    for world in worlds().await {
        let run = world.flow_run(json!({})).await;
        for bytes in [1_000_000, 5_000_000] {
            let data = noise(bytes);
            let made = world.post("/artifacts/", json!({"key": "large", "type": "markdown", "data": data})).await;
            let path = format!("/artifacts/{}", made["id"].as_str().unwrap());
            assert!(world.get(&path).await["data"] == json!(data));
            assert!(world.get("/artifacts/large/latest").await["data"] == json!(data));
            let other = noise(bytes);
            world.done(Method::PATCH, &path, json!({"data": other})).await;
            assert!(world.get(&path).await["data"] == json!(other));
            let found = world.post("/artifacts/filter", json!({"sort": "CREATED_DESC", "limit": 1})).await;
            assert!(found[0]["data"] == json!(other));
            world.done(Method::DELETE, &path, Value::Null).await;
        }
        let value = json!(noise(1_000_000));
        world.post(&format!("{run}/input"), json!({"key": "large", "value": value.to_string()})).await;
        assert!(world.get(&format!("{run}/input/large")).await == value);
        world.done(Method::DELETE, &format!("{run}/input/large"), Value::Null).await;
        let line = json!({
            "name": "n", "level": 20, "message": noise(1_000_000), "timestamp": Timestamp::now(),
            "flow_run_id": id_in(&run),
        });
        world.post("/logs/", json!([line])).await;
        let found = world.post("/logs/filter", json!({"logs": {"flow_run_id": {"any_": [id_in(&run)]}}})).await;
        assert!(found[0]["message"] == line["message"]);
        world.gave_nothing_up().await;
        world.done(Method::DELETE, &run, Value::Null).await;
        // What is left are the events that tell of the smaller artifact, with what it held: two, and two parts each.
        world.has_parts(if matches!(world.database, Database::Emulator(_)) { 4 } else { 0 }).await;
    }
}
