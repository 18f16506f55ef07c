//! Changes of deployments, where the store fails behind them: what is answered is what is so.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use axum::{
    body::{Body, to_bytes},
    http::Request,
};
use common::{
    App, Settings, Store,
    http::service,
    model::{Deployment, DeploymentId, Flow, FlowId, Timestamp, deployment::DeploymentSchedule},
    scheduler,
    store::{
        Shards,
        query::Range,
        table::{self, Index},
    },
};
use embedded::{
    EmbeddedDatabase,
    faults::{Fault, Faults},
};
use serde_json::{Value, json};
use tower::ServiceExt;

/// More failures than the SDK and the store try again.
const MANY: usize = 50;

struct World {
    app: App,
    faults: Faults,
    deployment: DeploymentId,
    schedule: String,
}

impl World {
    /// Makes a deployment that has its runs.
    async fn new() -> Self {
        let faults = Faults::on("Query");
        let database = EmbeddedDatabase::in_memory().unwrap();
        let config = EmbeddedDatabase::config_with(faults.before(database.http_client()));
        let store = Store::new(aws_sdk_dynamodb::Client::from_conf(config), "proctor-records", Shards(2));
        store.create_table().await.unwrap();
        let app = App::new(store, Settings::default());
        let (now, id) = (Timestamp::now(), DeploymentId::new());
        let mut deployment = Deployment::new(id, &Flow::new(FlowId::new(), "flow", now), "deployment", now);
        let schedule: DeploymentSchedule = serde_json::from_value(json!({
            "id": uuid::Uuid::now_v7(), "created": now, "updated": now, "schedule": {"interval": 3600.0, "anchor_date": now},
        }))
        .unwrap();
        let schedule_id = schedule.id.to_string();
        deployment.schedules = vec![schedule];
        app.store.add_deployment(&deployment, Vec::new()).await.unwrap();
        scheduler::look_at(&app, id).await.unwrap();
        let world = Self { app, faults, deployment: id, schedule: schedule_id };
        assert!(world.waiting().await >= 3);
        world
    }

    async fn waiting(&self) -> usize {
        let runs = table::runs_of_deployment(self.deployment);
        let range = Range::group(&self.app.store, Index::WaitingOfDeployment, &runs);
        self.app.store.read_all(range).await.unwrap().len()
    }

    async fn send(&self, method: &str, path: &str, body: &Value) -> (u16, String) {
        let request = Request::builder().method(method).uri(format!("/api/deployments/{}{path}", self.deployment));
        let request = request.header("content-type", "application/json").body(Body::from(body.to_string())).unwrap();
        let answer = service(self.app.clone(), deployments::ROUTES.iter().copied()).oneshot(request).await.unwrap();
        let status = answer.status().as_u16();
        let body = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
        (status, String::from_utf8_lossy(&body).into_owned())
    }

    fn fail(&self) {
        for _ in 0..MANY {
            self.faults.then(Fault::InternalError);
        }
    }

    async fn stored(&self) -> Deployment {
        self.app.store.deployment(self.deployment).await.unwrap().unwrap().record
    }
}

#[tokio::test]
async fn a_change_that_is_written_succeeds_whatever_fails_behind_it() {
    for (method, path, body) in [
        ("PATCH", String::new(), json!({"tags": ["new"]})),
        ("PATCH", "/schedules/@".to_owned(), json!({"active": false})),
        ("DELETE", "/schedules/@".to_owned(), json!({})),
        ("POST", "/pause_deployment".to_owned(), json!({})),
    ] {
        let world = World::new().await;
        world.fail();
        let (status, answer) = world.send(method, &path.replace('@', &world.schedule), &body).await;
        assert!(status == 200 || status == 204, "{method} {path}: {status} {answer}");
        assert!(world.faults.left() < MANY, "nothing failed behind {method} {path}");
        world.faults.end();
        assert!(world.waiting().await >= 3);
        let void = world.stored().await.void_runs.unwrap();
        world.app.store.delete_void_runs(world.deployment, void).await.unwrap();
        assert_eq!(world.waiting().await, 0, "{method} {path}");
    }
}

#[tokio::test]
async fn where_nothing_was_to_be_changed_a_failure_is_told_and_a_repetition_helps() {
    let world = World::new().await;
    assert_eq!(world.send("POST", "/pause_deployment", &json!({})).await.0, 200);
    world.fail();
    assert_eq!(world.send("POST", "/pause_deployment", &json!({})).await.0, 503);
    world.faults.end();
    assert_eq!(world.send("POST", "/pause_deployment", &json!({})).await.0, 200);
}
