//! Slots of runs that are deleted: given back once, at once, whatever fails, and none that another run holds.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use common::{
    Error,
    filter::RunFilters,
    jobs::{self, Delivery},
    model::{
        BulkAction, ConcurrencyLimit, ConcurrencyLimitId, Deployment, DeploymentId, Flow, FlowId, FlowRun, FlowRunId,
        StateType, TaskRun, TaskRunId, Timestamp, concurrency_limit::LongestWaits,
    },
    orchestration::{Client, ClientVersion},
    store::table,
    transitions::{Orchestrated, Proposal, propose_flow_run_state, propose_task_run_state},
};
use embedded::faults::{Fault, Faults};
use serde_json::{Value, json};
use world::{World, world};

use StateType::{Completed, Pending, Running};

/// A deployment with a limit, and its flow.
struct Limited {
    flow: FlowId,
    deployment: DeploymentId,
    limit: ConcurrencyLimitId,
}

impl World {
    async fn limited(&self, slots: i64) -> Limited {
        let now = self.app.now();
        let (flow, _) = self.app.store.add_flow(Flow::new(FlowId::new(), "flow", now)).await.unwrap();
        let mut deployment = Deployment::new(DeploymentId::new(), &flow, "limited", now);
        let beside = self.app.store.limit_deployment(&mut deployment, Some(slots), now).await.unwrap();
        self.app.store.add_deployment(&deployment, beside).await.map_err(Error::from).unwrap();
        Limited { flow: flow.id, deployment: deployment.id, limit: deployment.concurrency_limit_id.unwrap() }
    }

    async fn add_run(&self, of: &Limited) -> FlowRunId {
        let mut run = FlowRun::new(FlowRunId::new(), of.flow, "run", Timestamp::now());
        run.deployment_id = Some(of.deployment);
        self.app.store.commit(vec![self.app.store.insert(&run).unwrap()]).await.unwrap();
        run.id
    }

    /// Adds runs that hold a slot each.
    async fn add_holders<const COUNT: usize>(&self, of: &Limited) -> [FlowRunId; COUNT] {
        let mut runs = [FlowRunId::new(); COUNT];
        for run in &mut runs {
            *run = self.add_run(of).await;
            assert!(self.enter(*run, Pending).await.unwrap().entered);
        }
        runs
    }

    async fn enter(&self, run: FlowRunId, r#type: StateType) -> Result<Orchestrated, Error> {
        let version = ClientVersion::from_user_agent("prefect/3.8.8 (API 0.8.4)");
        let client = Client { version, ..Client::default() };
        let state = serde_json::from_value(json!({ "type": r#type })).unwrap();
        propose_flow_run_state(&self.app, run, &Proposal::new(state, false, client)).await
    }

    async fn delete(&self, run: FlowRunId) -> Result<bool, Error> {
        self.app.store.delete_flow_run(run, self.app.now(), LongestWaits::default()).await
    }

    /// Returns how many slots are taken, and the leases that say so.
    async fn taken(&self, limit: ConcurrencyLimitId) -> i64 {
        self.app.store.concurrency_limit(limit).await.unwrap().unwrap().record.active_slots
    }

    /// Works off everything that there is to do, each message twice.
    async fn settle(&mut self) {
        loop {
            self.follow_writes().await;
            let received = self.messages().await;
            if received.is_empty() {
                return;
            }
            let twice: Vec<Delivery> =
                received.iter().chain(&received).map(|(_, message)| message.clone().into()).collect();
            assert!(jobs::consume(&self.app, &self.queue, &twice).await.is_empty());
            for (received, _) in &received {
                self.inbox.acknowledge(received).await.unwrap();
            }
        }
    }
}

#[tokio::test]
async fn a_deleted_run_gives_its_slot_back_once_whatever_fails() {
    let faults = Faults::on("TransactWriteItems");
    let world = world(&faults).await;
    let limited = world.limited(2).await;
    let [kept] = world.add_holders(&limited).await;
    for fault in [Fault::AnswerLost, Fault::TransactionConflict, Fault::Throttled] {
        let [deleted] = world.add_holders(&limited).await;
        assert_eq!(world.taken(limited.limit).await, 2);
        faults.then(fault);
        assert!(world.delete(deleted).await.unwrap(), "{fault:?}");
        assert!(!world.delete(deleted).await.unwrap(), "{fault:?}");
        assert_eq!((world.taken(limited.limit).await, faults.left()), (1, 0), "{fault:?}");
    }
    world.enter(kept, Running).await.unwrap();
    world.enter(kept, Completed).await.unwrap();
    assert_eq!(world.taken(limited.limit).await, 0);
}

#[tokio::test]
async fn a_run_that_is_submitted_while_it_is_deleted_leaves_no_slot_behind() {
    let world = world(&Faults::default()).await;
    let limited = world.limited(1).await;
    for _ in 0..20 {
        let run = world.add_run(&limited).await;
        let (submitted, deleted) = tokio::join!(world.enter(run, Pending), world.delete(run));
        assert!(deleted.unwrap());
        assert!(submitted.is_ok() || matches!(submitted, Err(Error::NoSuchRun(_))));
        assert_eq!(world.taken(limited.limit).await, 0);
    }
}

#[tokio::test]
async fn runs_that_the_queue_deletes_give_their_slots_back() {
    let mut world = world(&Faults::default()).await;
    let limited = world.limited(3).await;
    let [in_bulk, with_flow, _] = world.add_holders(&limited).await;
    let filter: Value = json!({"id": {"any_": [in_bulk]}});
    let filters = RunFilters { flow_runs: serde_json::from_value(filter).unwrap(), ..RunFilters::default() };
    jobs::bulk::begin(&world.app, filters, BulkAction::DeleteFlowRuns).await.unwrap();
    world.settle().await;
    assert_eq!(world.taken(limited.limit).await, 2);
    world.app.store.delete::<Flow>(limited.flow).await.unwrap();
    world.settle().await;
    assert!(world.app.store.flow_run(with_flow).await.unwrap().is_none());
    assert_eq!(world.taken(limited.limit).await, 0);
}

#[tokio::test]
async fn a_deleted_flow_run_takes_the_slots_of_its_task_runs_along() {
    let mut world = world(&Faults::default()).await;
    let tag = ConcurrencyLimit::new(ConcurrencyLimitId::new(), "tag:limited", 1, Timestamp::now());
    world.app.store.add(&tag).await.unwrap();
    let limited = world.limited(1).await;
    let run = world.add_run(&limited).await;
    world.enter(run, Running).await.unwrap();
    let mut task_run = TaskRun::new(TaskRunId::new(), "task", "0", "task-0", Timestamp::now());
    (task_run.flow_run_id, task_run.tags) = (Some(run), vec!["limited".to_owned()]);
    world.app.store.commit(vec![world.app.store.insert(&task_run).unwrap()]).await.unwrap();
    let state = serde_json::from_value(json!({"type": Running})).unwrap();
    let proposal = Proposal::new(state, false, Client::default());
    assert!(propose_task_run_state(&world.app, task_run.id, &proposal).await.unwrap().entered);
    assert_eq!(world.taken(tag.id).await, 1);
    assert!(world.delete(run).await.unwrap());
    world.settle().await;
    assert_eq!(world.taken(tag.id).await, 0);
}

#[tokio::test]
async fn a_run_that_never_took_a_slot_frees_none() {
    let world = world(&Faults::default()).await;
    let limited = world.limited(1).await;
    world.add_holders::<1>(&limited).await;
    let [ended, deleted] = [world.add_run(&limited).await, world.add_run(&limited).await];
    for run in [ended, deleted] {
        assert!(world.enter(run, Running).await.unwrap().entered);
    }
    world.enter(ended, Completed).await.unwrap();
    world.delete(deleted).await.unwrap();
    assert_eq!(world.taken(limited.limit).await, 1);
}

#[tokio::test]
async fn the_slot_of_a_client_that_renews_no_leases_lasts_until_its_run_ends() {
    let world = world(&Faults::default()).await;
    let limited = world.limited(2).await;
    for ends in [true, false] {
        let [run] = world.add_holders(&limited).await;
        let lease = world.app.store.flow_run(run).await.unwrap().unwrap().record.state.unwrap();
        let lease = lease.state_details.deployment_concurrency_lease_id.unwrap();
        let propose = async |r#type: StateType| {
            let state = serde_json::from_value(json!({ "type": r#type })).unwrap();
            let proposal = Proposal::new(state, false, Client::default());
            assert!(propose_flow_run_state(&world.app, run, &proposal).await.unwrap().entered);
        };
        propose(Running).await;
        let lease = world.app.store.get_item(&table::lease(lease)).await.unwrap().unwrap();
        let lease: common::model::Lease = lease.record().unwrap();
        assert!(lease.expiration > Timestamp::now().plus_seconds(1e9));
        assert_eq!(world.taken(limited.limit).await, 1);
        if ends {
            propose(Completed).await;
        } else {
            assert!(world.delete(run).await.unwrap());
        }
        assert_eq!(world.taken(limited.limit).await, 0);
    }
}
