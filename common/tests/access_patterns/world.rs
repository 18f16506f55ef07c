//! A store whose reads are recorded, and the records that probes ask for.

use std::future::Future;

use aws_sdk_dynamodb::{Client, Config};
use common::{
    Result, Store,
    model::{
        Artifact, ArtifactId, Deployment, DeploymentId, Flow, FlowId, FlowRun, FlowRunId, State, StateId, StateType,
        TaskRun, TaskRunId, Timestamp, WorkQueueId,
    },
    store::{Shards, select::Window, table},
};
use embedded::EmbeddedDatabase;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{
    probe::{Answer, Probe},
    recorder::Recorder,
};

/// The first page of what is listed.
pub(crate) const PAGE: Window = Window { offset: 0, limit: 10 };

/// A store on a database of its own.
pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) now: Timestamp,
    recorder: Recorder,
}

impl World {
    /// Makes an empty one, with several shards as in the cloud, so that a step may take several queries.
    pub(crate) async fn new() -> Self {
        let recorder = Recorder::default();
        let database = EmbeddedDatabase::in_memory().unwrap();
        let config: Config = database.sdk_config();
        let config = config.to_builder().interceptor(recorder.clone()).build();
        let store = Store::new(Client::from_conf(config), "proctor-records", Shards(3)).guarded();
        store.create_table().await.unwrap();
        Self { store, now: Timestamp::now(), recorder }
    }

    /// Lets `work` answer what is `asked`, and returns the way that it took.
    pub(crate) async fn probe<T: Answer>(&self, asked: &'static str, work: impl Future<Output = Result<T>>) -> Probe {
        let (answer, way) = Box::pin(self.recorder.record(work)).await;
        assert!(answer.unwrap().is_found(), "{asked}: nothing was found");
        Probe { asked, way }
    }

    pub(crate) async fn flow(&self) -> Flow {
        self.store.add_flow(Flow::new(FlowId::new(), "flow", self.now)).await.unwrap().0
    }

    /// Adds a deployment of `flow` whose runs wait in `queue`, as the stream's consumer leaves it.
    pub(crate) async fn deployment(&self, flow: &Flow, queue: Option<WorkQueueId>) -> Deployment {
        let deployment = Deployment::new(DeploymentId::new(), flow, "deployment", self.now);
        let deployment = Deployment { work_queue_id: queue, ..deployment };
        self.store.add_deployment(&deployment, Vec::new()).await.unwrap();
        self.store.place_deployment(deployment.id, queue).await.unwrap();
        deployment
    }

    /// Adds the flow run that `change` makes of a plain one.
    pub(crate) async fn flow_run(&self, flow: FlowId, change: impl FnOnce(&mut FlowRun)) -> FlowRun {
        let mut run = FlowRun::new(FlowRunId::new(), flow, "run", self.now);
        change(&mut run);
        self.store.commit(vec![self.store.insert(&run).unwrap()]).await.unwrap();
        run
    }

    /// Adds the task run that `change` makes of a plain one, with the claim on its place.
    pub(crate) async fn task_run(&self, change: impl FnOnce(&mut TaskRun)) -> TaskRun {
        let mut run = TaskRun::new(TaskRunId::new(), "task", "0", "run", self.now);
        change(&mut run);
        let place = table::unique_task_run(run.flow_run_id, &run.task_key, &run.dynamic_key);
        let writes = vec![self.store.insert(&run).unwrap(), self.store.claim(place, run.id).unwrap()];
        self.store.commit(writes).await.unwrap();
        run
    }

    /// Makes a state that is not written yet.
    pub(crate) fn state(&self, r#type: StateType) -> State {
        State::new(StateId::new(), r#type, self.now)
    }

    /// Adds the artifact that `change` makes of a plain one.
    pub(crate) async fn artifact(&self, change: impl FnOnce(&mut Artifact)) -> Artifact {
        let mut artifact = Artifact::new(ArtifactId::at(self.now, FlowRunId::new().0), self.now);
        change(&mut artifact);
        self.store.add_artifact(&artifact).await.unwrap();
        artifact
    }
}

/// Reads a filter or a record as clients send it.
pub(crate) fn read<T: DeserializeOwned>(document: Value) -> T {
    serde_json::from_value(document).unwrap()
}

/// Names one record in a filter.
pub(crate) fn any(value: impl serde::Serialize) -> Value {
    json!({ "any_": [value] })
}
