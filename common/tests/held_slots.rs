//! Slots of runs that are deleted: given back once, at once, whatever fails, and none that another run holds.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use common::{
    Error,
    filter::RunFilters,
    jobs::{self, Delivery},
    model::{
        BulkAction, ConcurrencyLimit, ConcurrencyLimitId, Deployment, DeploymentId, Flow, FlowId, FlowRun, FlowRunId,
        Lease, StateType, TaskRun, TaskRunId, Timestamp,
        concurrency_limit::{LongestWaits, name_of_tag},
    },
    orchestration::{Client, ClientVersion},
    store::{
        table,
        tag_limits::{TagTaking, limit_of},
    },
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

/// The task runs that hold slots of the tag's limit, and how many are counted.
async fn holders(world: &World, tag: &str) -> (Vec<TaskRunId>, i64) {
    let (store, now) = (&world.app.store, Timestamp::now());
    let limit = store.tag_limit(limit_of(tag), now).await.unwrap();
    let limit: Value = serde_json::to_value(limit).unwrap();
    let id = serde_json::from_value(limit["id"].clone()).unwrap();
    (serde_json::from_value(limit["active_slots"].clone()).unwrap(), world.taken(id).await)
}

async fn add_tag(world: &World, tag: &str, slots: i64) -> ConcurrencyLimitId {
    let limit = ConcurrencyLimit::new(ConcurrencyLimitId::new(), name_of_tag(tag), slots, Timestamp::now());
    world.app.store.add(&limit).await.unwrap();
    limit.id
}

#[tokio::test]
async fn slots_of_tags_are_taken_and_reset_once_whatever_fails() {
    let faults = Faults::on("TransactWriteItems");
    let world = world(&faults).await;
    let (store, longest) = (&world.app.store, LongestWaits::default());
    add_tag(&world, "db", 2).await;
    let tags = ["db".to_owned()];
    for fault in [Fault::AnswerLost, Fault::TransactionConflict] {
        let (run, other) = (TaskRunId::new(), TaskRunId::new());
        faults.then(fault);
        let taking = store.take_tag_slots(&tags, run, Timestamp::now(), longest).await.unwrap();
        assert!(matches!(taking, TagTaking::Taken(_)), "{fault:?}");
        assert_eq!(holders(&world, "db").await, (vec![run], 1), "{fault:?}");
        faults.then(fault);
        store.reset_tag_limit(limit_of("db"), &[other], Timestamp::now(), longest).await.unwrap();
        assert_eq!(holders(&world, "db").await, (vec![other], 1), "{fault:?}");
        assert!(store.leases_held_by(run).await.unwrap().is_empty());
        faults.then(fault);
        store.give_tag_slots_back(&tags, other, Timestamp::now(), longest).await.unwrap();
        assert_eq!((holders(&world, "db").await, faults.left()), ((Vec::new(), 0), 0), "{fault:?}");
        let many: Vec<TaskRunId> = (0..70).map(|_| TaskRunId::new()).collect();
        for number in 0..3 {
            // Each of the three transactions in turn.
            for _ in 0..number {
                faults.then_pass();
            }
            faults.then(fault);
            store.reset_tag_limit(limit_of("db"), &many, Timestamp::now(), longest).await.unwrap();
            let (held, counted) = holders(&world, "db").await;
            assert_eq!((held.len(), counted), (70, 70), "{fault:?} {number}");
        }
        store.reset_tag_limit(limit_of("db"), &[], Timestamp::now(), longest).await.unwrap();
        assert_eq!(holders(&world, "db").await, (Vec::new(), 0));
    }
}

#[tokio::test]
async fn a_task_run_that_asks_twice_at_once_counts_once() {
    let world = world(&Faults::default()).await;
    let (store, longest, run) = (&world.app.store, LongestWaits::default(), TaskRunId::new());
    for tag in ["db", "disk"] {
        add_tag(&world, tag, 5).await;
    }
    let (one, both) = (["db".to_owned()], ["disk".to_owned(), "db".to_owned()]);
    let ask = |tags: &'static [&'static str]| async {
        let tags: Vec<String> = tags.iter().map(|tag| (*tag).to_owned()).collect();
        store.take_tag_slots(&tags, run, Timestamp::now(), longest).await.unwrap()
    };
    tokio::join!(ask(&["db"]), ask(&["disk", "db"]), ask(&["db", "db"]), ask(&["disk"]));
    for tag in ["db", "disk"] {
        assert_eq!(holders(&world, tag).await, (vec![run], 1));
    }
    store.give_tag_slots_back(&one, run, Timestamp::now(), longest).await.unwrap();
    store.give_tag_slots_back(&both, run, Timestamp::now(), longest).await.unwrap();
    for tag in ["db", "disk"] {
        assert_eq!(holders(&world, tag).await, (Vec::new(), 0));
    }
    assert!(store.leases_held_by(run).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_deleted_limit_leaves_slots_of_other_tags_under_the_lease() {
    let world = world(&Faults::default()).await;
    let (store, longest, run) = (&world.app.store, LongestWaits::default(), TaskRunId::new());
    let deleted = add_tag(&world, "db", 1).await;
    add_tag(&world, "disk", 1).await;
    let tags = ["db".to_owned(), "disk".to_owned()];
    store.take_tag_slots(&tags, run, Timestamp::now(), longest).await.unwrap();
    store.delete_tag_limit(deleted, Timestamp::now(), longest).await.unwrap();
    assert_eq!(holders(&world, "disk").await, (vec![run], 1));
    store.give_tag_slots_back(&tags, run, Timestamp::now(), longest).await.unwrap();
    assert_eq!(holders(&world, "disk").await, (Vec::new(), 0));
    let error = store.delete_tag_limit(deleted, Timestamp::now(), longest).await.unwrap_err();
    assert!(matches!(error, Error::NotFound(_)));
}

#[tokio::test]
async fn a_lease_that_has_expired_is_nobodys() {
    let mut world = world(&Faults::default()).await;
    add_tag(&world, "db", 1).await;
    let run = TaskRunId::new();
    let lease = Lease {
        expiration: Timestamp::now().plus_seconds(-1.0),
        ..Lease::of_task_run(run, Vec::new(), Timestamp::now())
    };
    let (names, longest) = ([name_of_tag("db")], LongestWaits::default());
    world.app.store.take_slots(&names, 1, Some(&lease), Timestamp::now(), longest, |_| Ok(())).await.unwrap();
    assert_eq!(holders(&world, "db").await, (Vec::new(), 1));
    world
        .app
        .store
        .release_lease(lease.id, Timestamp::now(), longest, |lease| lease.expiration > Timestamp::now())
        .await
        .unwrap();
    world.settle().await;
    assert_eq!(holders(&world, "db").await, (Vec::new(), 0));
    assert!(world.app.store.leases_held_by(run).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_run_that_holds_slots_of_many_tags_ends_and_its_timers_give_the_rest_back() {
    let mut world = world(&Faults::default()).await;
    let tags: Vec<String> = (0..90).map(|number| format!("tag-{number}")).collect();
    let mut limits = Vec::new();
    for tag in &tags {
        limits.push(add_tag(&world, tag, 1).await);
    }
    let mut run = TaskRun::new(TaskRunId::new(), "task", "0", "task-0", Timestamp::now());
    run.tags.clone_from(&tags);
    world.app.store.commit(vec![world.app.store.insert(&run).unwrap()]).await.unwrap();
    for some in tags.chunks(45) {
        let taking =
            world.app.store.take_tag_slots(some, run.id, Timestamp::now(), LongestWaits::default()).await.unwrap();
        assert!(matches!(taking, TagTaking::Taken(_)));
    }
    let state = serde_json::from_value(json!({"type": Completed})).unwrap();
    let proposal = Proposal::new(state, false, Client::default());
    assert!(propose_task_run_state(&world.app, run.id, &proposal).await.unwrap().entered);
    for _ in 0..2 {
        jobs::timers::tick(&world.app, &world.queue).await.unwrap();
        world.settle().await;
        let mut taken = 0;
        for limit in &limits {
            taken += world.taken(*limit).await;
        }
        assert_eq!(taken, 0);
    }
    assert!(world.app.store.leases_held_by(run.id).await.unwrap().is_empty());
}
