//! What automations do: a firing in, its effect and the events that tell of it out, once, whatever comes between.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Request, StatusCode},
};
use common::{
    App, Settings, Store,
    actions::outward::{Answer, CallFailed, Outward},
    domain::automations::Firing,
    event_ingestion,
    jobs::{
        self,
        queue::{Message, Queue},
    },
    model::{Event, EventId, FiringId, Object, ReceivedEvent, Timestamp, automation::TriggerId},
    runtime::key_file::KeyFile,
    store::Shards,
    vault::Vault,
};
use embedded::{
    EmbeddedDatabase,
    faults::{Fault, Faults},
};
use futures::{FutureExt, future::BoxFuture};
use serde_json::{Value, json};
use tower::ServiceExt;
use uuid::Uuid;

struct World {
    app: App,
    routes: Router,
    queue: Queue,
    outside: Arc<Outside>,
}

async fn world(faults: &Faults) -> World {
    let database = EmbeddedDatabase::in_memory().unwrap();
    let config = EmbeddedDatabase::config_with(faults.before(database.http_client()));
    let settings = Settings { ui_url: Some("http://ui".into()), ..Settings::default() };
    let store = Store::new(aws_sdk_dynamodb::Client::from_conf(config), &settings.table, Shards(2));
    store.create_table().await.unwrap();
    let outside = Arc::new(Outside::default());
    let vault = Vault::new(Box::new(KeyFile::in_memory().unwrap()));
    let app = App::new(store, settings).with_vault(vault).calling(outside.clone());
    let queue = Queue::new(aws_sdk_sqs::Client::from_conf(database.queue().unwrap().sdk_config()), "any");
    World { routes: proctor::app(app.clone()), app, queue, outside }
}

/// Who is called, and answers as a test says.
#[derive(Debug, Default)]
struct Outside {
    told: Mutex<Vec<String>>,
    fails: Mutex<Option<CallFailed>>,
}

impl Outside {
    fn hear(&self, told: String) -> Result<(), CallFailed> {
        self.told.lock().unwrap().push(told);
        self.fails.lock().unwrap().clone().map_or(Ok(()), Err)
    }
}

impl Outward for Outside {
    fn call_webhook<'c>(
        &'c self,
        data: &'c Object,
        payload: &'c str,
        _invocation: Uuid,
    ) -> BoxFuture<'c, Result<Answer, CallFailed>> {
        let heard = self.hear(format!("{} {payload}", data["url"].as_str().unwrap()));
        let headers = vec![("a".to_owned(), "b".to_owned()), ("via".to_owned(), "x".to_owned())];
        async { heard.map(|()| Answer { status: 418, headers, body: "tea".into() }) }.boxed()
    }

    fn notify<'c>(
        &'c self,
        slug: &'c str,
        data: &'c Object,
        subject: &'c str,
        body: &'c str,
        _invocation: Uuid,
    ) -> BoxFuture<'c, Result<(), CallFailed>> {
        let heard = self.hear(format!("{slug} {} {subject}: {body}", data["url"].as_str().unwrap()));
        async { heard }.boxed()
    }

    fn can_notify(&self, slug: &str) -> bool {
        slug == "slack-webhook"
    }
}

impl World {
    async fn send(&self, method: &str, path: &str, body: &Value) -> (StatusCode, Value) {
        let request = Request::builder().method(method).uri(format!("/api{path}"));
        let request = request.header("content-type", "application/json").body(Body::from(body.to_string())).unwrap();
        let response = self.routes.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    async fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let (status, answer) = self.send(method, path, body).await;
        assert!(status.is_success() || status == StatusCode::NOT_FOUND, "{method} {path}: {status} {answer}");
        answer
    }

    /// Adds a flow run of a deployment, which alone can be suspended.
    async fn run(&self, state: &str) -> String {
        let path = format!("/deployments/{}/create_flow_run", self.deployment().await);
        self.ask("POST", &path, &json!({"state": {"type": state}})).await["id"].as_str().unwrap().to_owned()
    }

    async fn deployment(&self) -> String {
        let flow = self.ask("POST", "/flows/", &json!({"name": "flow"})).await;
        let deployment = json!({"flow_id": flow["id"], "name": Uuid::new_v4(), "enforce_parameter_schema": false});
        self.ask("POST", "/deployments/", &deployment).await["id"].as_str().unwrap().to_owned()
    }

    /// Adds a firing of an automation with this action, and the event about `resource` that made it.
    async fn firing(&self, action: &Value, resource: &str) -> FiringId {
        let event = event(resource);
        event_ingestion::keep(&self.app, &[event.clone().receive(Timestamp::now())]).await.unwrap();
        let firing = firing(action, &event);
        let id = firing.firing.id;
        self.app.store.add_firings(&[firing]).await.unwrap();
        id
    }

    /// Hands the message about the first action of a firing to the job runner.
    async fn act(&self, firing: FiringId) {
        let failures = jobs::consume(&self.app, &self.queue, &[Message::Act { firing, action: 0 }.into()]).await;
        assert!(failures.is_empty(), "{failures:?}");
    }

    /// Returns the events that tell of a firing's first action.
    async fn told(&self, firing: FiringId) -> Vec<ReceivedEvent> {
        let firing = self.app.store.firing(firing).await.unwrap().unwrap();
        let action = firing.actions()[0];
        let ids = ["triggered", "executed", "failed"].map(|what| action.told_by(what));
        let mut found = Vec::new();
        for id in ids {
            found.extend(self.app.store.event(id).await.unwrap());
        }
        found
    }

    /// Carries an action out; returns what the last event of it tells.
    async fn outcome(&self, action: &Value, resource: &str) -> (String, Value) {
        let firing = self.firing(action, resource).await;
        self.act(firing).await;
        let told = self.told(firing).await;
        assert_eq!(told.len(), 2, "{told:?}");
        assert_eq!(told[0].event, "prefect.automation.action.triggered");
        assert_eq!(told[1].follows, Some(told[0].id));
        let payload = Value::Object(told[1].payload.clone());
        (told[1].event.rsplit_once('.').unwrap().1.to_owned(), payload)
    }

    async fn state(&self, run: &str) -> String {
        self.ask("GET", &format!("/flow_runs/{run}"), &json!({})).await["state_name"]
            .as_str()
            .unwrap_or("gone")
            .to_owned()
    }

    async fn runs_of(&self, deployment: &str) -> Vec<Value> {
        let body = json!({"deployments": {"id": {"any_": [deployment]}}});
        self.ask("POST", "/flow_runs/filter", &body).await.as_array().unwrap().clone()
    }

    async fn block(&self, slug: &str, capability: &str) -> String {
        let block_type = self.ask("POST", "/block_types/", &json!({"name": slug, "slug": slug})).await;
        let schema = json!({
            "block_type_id": block_type["id"], "capabilities": [capability],
            "fields": {
                "type": "object", "title": slug, "properties": {"url": {"type": "string"}}, "secret_fields": ["url"],
            },
        });
        let schema = self.ask("POST", "/block_schemas/", &schema).await;
        let document = json!({
            "name": "mine", "data": {"url": "http://hook"},
            "block_schema_id": schema["id"], "block_type_id": block_type["id"],
        });
        self.ask("POST", "/block_documents/", &document).await["id"].as_str().unwrap().to_owned()
    }
}

fn event(resource: &str) -> Event {
    serde_json::from_value(json!({
        "occurred": Timestamp::now(), "event": "it.happened", "id": EventId::new(),
        "resource": {"prefect.resource.id": resource, "prefect.resource.name": "n"}, "payload": {"number": 5},
    }))
    .unwrap()
}

fn firing(action: &Value, event: &Event) -> Firing {
    let trigger = TriggerId::new();
    let automation = json!({
        "name": "a", "id": Uuid::new_v4(), "created": Timestamp::now(), "updated": Timestamp::now(),
        "trigger": {"type": "event", "posture": "Reactive", "id": trigger}, "actions": [action],
    });
    let firing = json!({
        "id": FiringId::new(), "trigger": trigger, "triggered": Timestamp::now(), "at": Timestamp::now(),
        "triggering_event": event.id,
    });
    serde_json::from_value(json!({"automation": automation, "firing": firing})).unwrap()
}

#[tokio::test]
async fn flow_runs_enter_states() {
    let world = world(&Faults::default()).await;
    let table = [
        (json!({"type": "cancel-flow-run"}), "Cancelling"),
        (json!({"type": "suspend-flow-run"}), "Suspended"),
        (json!({"type": "change-flow-run-state", "state": "FAILED", "name": "Bad"}), "Bad"),
        (json!({"type": "delete-flow-run"}), "gone"),
    ];
    for (action, state) in table {
        let run = world.run("RUNNING").await;
        let resource = format!("prefect.flow-run.{run}");
        assert_eq!(world.outcome(&action, &resource).await.0, "executed", "{action}");
        assert_eq!(world.state(&run).await, state);
        // Another firing finds it so.
        let (outcome, payload) = world.outcome(&json!({"type": "resume-flow-run"}), &resource).await;
        match state {
            "Suspended" => assert_eq!((outcome.as_str(), world.state(&run).await.as_str()), ("executed", "Resuming")),
            _ => assert_eq!(outcome, "failed", "{payload}"),
        }
    }
}

#[tokio::test]
async fn what_can_t_be_carried_out_says_why() {
    let world = world(&Faults::default()).await;
    let nobody = Uuid::nil();
    let block = world.block("webhook", "x").await;
    let of = |kind: &str, id: &str| json!({"type": kind, "source": "selected", id: nobody});
    let table = [
        (json!({"type": "cancel-flow-run"}), "thing", "No flow run could be inferred"),
        (
            json!({"type": "delete-flow-run"}),
            "prefect.flow-run.00000000-0000-0000-0000-000000000000",
            "Unexpected status from 'delete-flow-run' action: 404",
        ),
        (json!({"type": "pause-deployment", "source": "inferred"}), "thing", "No deployment could be inferred"),
        (of("pause-deployment", "deployment_id"), "thing", "Unexpected status from 'pause-deployment' action: 404"),
        (of("resume-work-queue", "work_queue_id"), "thing", "Unexpected status from 'resume-work-queue' action: 404"),
        (of("pause-automation", "automation_id"), "thing", "Unexpected status from 'pause-automation' action: 404"),
        (of("pause-work-pool", "work_pool_id"), "thing", "Work pool 00000000-0000-0000-0000-000000000000 not found"),
        (of("run-deployment", "deployment_id"), "thing", "Unexpected status from 'run-deployment' action: 404"),
        (
            json!({"type": "send-notification", "block_document_id": nobody, "subject": "", "body": ""}),
            "thing",
            "Unexpected status from 'send-notification' action: 404",
        ),
        (
            json!({"type": "send-notification", "block_document_id": block, "subject": "", "body": ""}),
            "thing",
            "The referenced block was not a notification block",
        ),
    ];
    for (action, resource, reason) in table {
        let (outcome, payload) = world.outcome(&action, resource).await;
        assert_eq!((outcome.as_str(), payload["reason"].as_str().unwrap()), ("failed", reason), "{action}");
    }
}

#[tokio::test]
async fn a_deployment_runs_with_what_the_event_says() {
    let world = world(&Faults::default()).await;
    let deployment = world.deployment().await;
    let parameters = json!({
        "number": "{{ event.payload.number }}", "text": "{{ event.resource.name }}!", "list": ["{{ event.event }}"],
    });
    let action =
        json!({"type": "run-deployment", "source": "selected", "deployment_id": deployment, "parameters": parameters});
    let (outcome, payload) = world.outcome(&action, "thing").await;
    assert_eq!((outcome.as_str(), &payload["status_code"]), ("executed", &json!(201)));
    let runs = world.runs_of(&deployment).await;
    assert_eq!(runs.len(), 1);
    assert_eq!(runs[0]["parameters"], json!({"number": 5, "text": "n!", "list": ["it.happened"]}));
    assert_eq!(runs[0]["created_by"]["type"], "AUTOMATION");
}

#[tokio::test]
async fn somebody_is_notified_and_called() {
    let world = world(&Faults::default()).await;
    let (slack, webhook) = (world.block("slack-webhook", "notify").await, world.block("webhook", "x").await);
    let notify = json!({
        "type": "send-notification", "block_document_id": slack,
        "subject": "s {{ event.event }}", "body": "{{ event | ui_url }}",
    });
    assert_eq!(world.outcome(&notify, "thing").await.0, "executed");
    let call = json!({"type": "call-webhook", "block_document_id": webhook, "payload": "{{ event.payload | tojson }}"});
    let (outcome, payload) = world.outcome(&call, "thing").await;
    assert_eq!(outcome, "executed");
    assert_eq!(payload["status_code"], 418);
    assert_eq!((&payload["response_body"], &payload["response_headers"]), (&json!("tea"), &json!({"a": "b"})));
    let told = world.outside.told.lock().unwrap().clone();
    assert!(told[0].starts_with("slack-webhook http://hook s it.happened: http://ui/events/event/"), "{told:?}");
    assert_eq!(told[1], r#"http://hook {"number": 5}"#);
    *world.outside.fails.lock().unwrap() = Some(CallFailed { reason: "no such host".into(), is_passing: false });
    let (outcome, payload) = world.outcome(&notify, "thing").await;
    assert_eq!((outcome.as_str(), &payload["notification_log"]), ("failed", &json!("no such host")));
    let (_, payload) = world.outcome(&call, "thing").await;
    assert_eq!(payload["reason"], "Webhook call failed: no such host");
    let broken = json!({
        "type": "call-webhook", "block_document_id": webhook,
        "payload": "{{ event | tojson }}{{ event.id | tojson }}",
    });
    let (_, payload) = world.outcome(&broken, "thing").await;
    let reason = "Template rendering failed: TypeError('Object of type UUID is not JSON serializable')";
    assert_eq!(payload["reason"], reason);
    assert_eq!(payload["template_source"], broken["payload"]);
}

#[tokio::test]
async fn a_call_that_may_succeed_later_is_made_again() {
    let world = world(&Faults::default()).await;
    let webhook = world.block("webhook", "x").await;
    let call = json!({"type": "call-webhook", "block_document_id": webhook, "payload": ""});
    let firing = world.firing(&call, "thing").await;
    *world.outside.fails.lock().unwrap() = Some(CallFailed { reason: "too late".into(), is_passing: true });
    world.act(firing).await;
    assert!(world.told(firing).await.is_empty());
    *world.outside.fails.lock().unwrap() = None;
    world.act(firing).await;
    assert_eq!(world.told(firing).await[1].event, "prefect.automation.action.executed");
}

#[tokio::test]
async fn a_message_that_comes_again_changes_nothing() {
    let world = world(&Faults::default()).await;
    let deployment = world.deployment().await;
    let run = json!({"type": "run-deployment", "source": "selected", "deployment_id": deployment});
    let firing = world.firing(&run, "thing").await;
    world.act(firing).await;
    let told = world.told(firing).await;
    world.ask("DELETE", &format!("/deployments/{deployment}"), &json!({})).await;
    world.act(firing).await;
    assert_eq!(world.told(firing).await, told);
    // Nor does it end a second time what somebody else has begun again.
    let run = world.run("RUNNING").await;
    let firing = world.firing(&json!({"type": "cancel-flow-run"}), &format!("prefect.flow-run.{run}")).await;
    world.act(firing).await;
    let state = json!({"state": {"type": "RUNNING"}, "force": true});
    world.ask("POST", &format!("/flow_runs/{run}/set_state"), &state).await;
    world.act(firing).await;
    assert_eq!(world.state(&run).await, "Running");
}

/// Every request of an action meets a fault in turn: the action's effect is there once, and it is told once as
/// executed.
#[tokio::test]
async fn faults_of_the_store_double_nothing() {
    for fault in [Fault::Throttled, Fault::AnswerLost] {
        for kind in ["run-deployment", "cancel-flow-run", "delete-flow-run"] {
            for met in 0..12 {
                let faults = Faults::default();
                let world = world(&faults).await;
                let (run, deployment) = (world.run("RUNNING").await, world.deployment().await);
                let action = json!({"type": kind, "source": "selected", "deployment_id": deployment});
                let firing = world.firing(&action, &format!("prefect.flow-run.{run}")).await;
                for _ in 0..met {
                    faults.then_pass();
                }
                faults.then(fault);
                world.act(firing).await;
                faults.end();
                world.act(firing).await;
                let told = world.told(firing).await;
                assert_eq!(told.len(), 2, "{fault:?} {kind} {met}: {told:?}");
                assert_eq!(told[1].event, "prefect.automation.action.executed", "{fault:?} {kind} {met}");
                match kind {
                    "run-deployment" => assert_eq!(world.runs_of(&deployment).await.len(), 1),
                    "cancel-flow-run" => assert_eq!(world.state(&run).await, "Cancelling"),
                    _ => assert_eq!(world.state(&run).await, "gone"),
                }
            }
        }
    }
}

#[tokio::test]
async fn of_several_workers_at_once_one_acts() {
    let world = world(&Faults::default()).await;
    for _ in 0..10 {
        let deployment = world.deployment().await;
        let run = json!({"type": "run-deployment", "source": "selected", "deployment_id": deployment});
        let firing = world.firing(&run, "thing").await;
        futures::future::join_all((0..4).map(|_| world.act(firing))).await;
        assert_eq!(world.runs_of(&deployment).await.len(), 1);
        let told = world.told(firing).await;
        assert_eq!(told[1].event, "prefect.automation.action.executed");
    }
}

#[tokio::test]
async fn an_action_that_can_never_be_carried_out_is_refused_when_it_is_saved() {
    let world = world(&Faults::default()).await;
    let (slack, other) = (world.block("slack-webhook", "notify").await, world.block("database", "x").await);
    let webhook = world.block("webhook", "x").await;
    let save = async |actions: Value| {
        let trigger = json!({"type": "event", "posture": "Reactive", "expect": ["x"]});
        let automation = json!({"name": "a", "trigger": trigger, "actions": actions});
        world.send("POST", "/automations/", &automation).await
    };
    let notify =
        |block: &str| json!({"type": "send-notification", "block_document_id": block, "subject": "", "body": ""});
    let call = |block: &str| json!({"type": "call-webhook", "block_document_id": block, "payload": ""});
    let nobody = Uuid::nil().to_string();
    let fine = json!([notify(&slack), call(&webhook), notify(&nobody), call(&nobody)]);
    assert_eq!(save(fine).await.0, StatusCode::CREATED);
    for (action, what) in [(notify(&other), "can't send notifications"), (call(&slack), "can't be called as a webhook")]
    {
        let (status, answer) = save(json!([{"type": "do-nothing"}, action])).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(answer["detail"].as_str().unwrap().contains(what), "{answer}");
    }
}
