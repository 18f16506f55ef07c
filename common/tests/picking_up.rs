//! What polls and heartbeats cost, what many workers at once start, and what follows from polls for deployments.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use common::{
    App, Settings, Store,
    model::{
        Deployment, DeploymentId, Flow, FlowId, FlowRun, FlowRunId, State, StateId, StateType, Timestamp, WorkPool,
        WorkPoolId, WorkQueueId, deployment::DeploymentStatus,
    },
    orchestration::Client,
    store::{
        Item, Shards,
        cost::{self, Cost},
        table,
        waiting_runs::{Due, OpenQueue},
        work_pools::StoredWorkPool,
        work_queues::PoolWithQueues,
        workers::Heartbeat,
    },
    transitions::{Proposal, propose_flow_run_state},
};
use embedded::EmbeddedDatabase;
use serde_json::json;

async fn store(shards: u8) -> Store {
    let database = EmbeddedDatabase::in_memory().unwrap();
    let client = aws_sdk_dynamodb::Client::from_conf(database.sdk_config());
    let store = Store::new(client, "proctor-records", Shards(shards));
    store.create_table().await.unwrap();
    store
}

/// Adds the pool `p`, which has its default queue alone.
async fn add_pool(store: &Store, now: Timestamp) -> PoolWithQueues {
    let document = json!({
        "id": WorkPoolId::new(), "created": now, "updated": now, "name": "p", "type": "process", "status": "NOT_READY",
    });
    let pool: WorkPool = serde_json::from_value(document).unwrap();
    let (pool, queue) = StoredWorkPool::with_default_queue(pool);
    store.add_work_pool(&pool, &queue).await.unwrap();
    store.work_pool_with_queues("p").await.unwrap().unwrap()
}

/// Adds runs that wait in the queue, one due each second up to `now`.
async fn add_runs(store: &Store, queue: WorkQueueId, count: u32, now: Timestamp) -> Vec<FlowRunId> {
    let run = |number| {
        let mut run = FlowRun::new(FlowRunId::new(), FlowId::new(), format!("run {number}"), now);
        let mut state = State::new(StateId::new(), StateType::Scheduled, now);
        let due = now.plus_seconds(-f64::from(count - number));
        state.state_details.scheduled_time = Some(due);
        (run.state_id, run.state_type) = (Some(state.id), Some(state.r#type));
        (run.state_name, run.next_scheduled_start_time) = (Some(state.name.clone()), Some(due));
        (run.state, run.work_queue_id) = (Some(state), Some(queue));
        run
    };
    let runs: Vec<FlowRun> = (0..count).map(run).collect();
    let items: Vec<Item> = runs.iter().map(|run| store.item(run, 1).unwrap()).collect();
    store.insert_missing(items).await.unwrap();
    runs.into_iter().map(|run| run.id).collect()
}

async fn cost_of_ten(store: &Store, queue: WorkQueueId) -> Cost {
    let open = [OpenQueue { queue, slots: usize::MAX }];
    let (found, cost) = cost::measured(store.waiting_in_queues(&open, Due::default(), 10)).await;
    assert_eq!(found.unwrap().len(), 10);
    cost
}

#[tokio::test]
async fn a_poll_reads_as_much_however_many_runs_wait() {
    let now = Timestamp::now();
    for shards in [1, 8] {
        let store = store(shards).await;
        let queue = add_pool(&store, now).await.queues[0].record.queue.id;
        add_runs(&store, queue, 200, now).await;
        let few = cost_of_ten(&store, queue).await;
        add_runs(&store, queue, 3_000, now.plus_seconds(-10_000.0)).await;
        let many = cost_of_ten(&store, queue).await;
        // Each shard's share of the keys and some more, seldom a shard again; and the runs themselves.
        let shards = u64::from(shards);
        for cost in [few, many] {
            assert!(cost.items_read <= 20 + 5 * shards && cost.round_trips <= shards + 4, "{cost:?}");
        }
    }
}

#[tokio::test]
async fn runs_come_in_the_order_of_queues_and_then_of_time() {
    let (store, now) = (store(4).await, Timestamp::now());
    let (first, second) = (WorkQueueId::new(), WorkQueueId::new());
    let later = add_runs(&store, second, 5, now.plus_seconds(-1_000.0)).await;
    let sooner = add_runs(&store, first, 3, now).await;
    let open = [OpenQueue { queue: first, slots: 2 }, OpenQueue { queue: second, slots: 9 }];
    let found = store.waiting_in_queues(&open, Due::default(), 6).await.unwrap();
    let ids: Vec<FlowRunId> = found.iter().map(|(_, run)| run.id).collect();
    assert_eq!(ids, [&sooner[..2], &later[..4]].concat());
    let due = Due { after: Some(now.plus_seconds(-1_002.0)), before: Some(now.plus_seconds(-1_000.0)) };
    let found = store.waiting_in_queues(&open, due, 6).await.unwrap();
    assert_eq!(found.iter().map(|(_, run)| run.id).collect::<Vec<_>>(), later[3..]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_workers_that_poll_at_once_one_starts_each_run() {
    let (store, now) = (store(2).await, Timestamp::now());
    let queue = add_pool(&store, now).await.queues[0].record.queue.id;
    let runs: BTreeSet<FlowRunId> = add_runs(&store, queue, 20, now).await.into_iter().collect();
    let app = App::new(store, Settings::default());
    let workers = (0..16).map(|_| {
        let app = app.clone();
        tokio::spawn(async move {
            let open = [OpenQueue { queue, slots: usize::MAX }];
            let mut started = Vec::new();
            while let found @ [_, ..] = &app.store.waiting_in_queues(&open, Due::default(), 5).await.unwrap()[..] {
                for (_, run) in found {
                    let pending = serde_json::from_value(json!({"type": "PENDING"})).unwrap();
                    let proposal = Proposal::new(pending, false, Client::default());
                    if propose_flow_run_state(&app, run.id, &proposal).await.unwrap().entered {
                        started.push(run.id);
                    }
                }
            }
            started
        })
    });
    let mut started: Vec<FlowRunId> = Vec::new();
    for worker in workers.collect::<Vec<_>>() {
        started.extend(worker.await.unwrap());
    }
    assert_eq!(started.len(), runs.len(), "no run was started twice");
    assert_eq!(started.into_iter().collect::<BTreeSet<_>>(), runs);
}

#[tokio::test]
async fn a_heartbeat_is_a_read_and_a_write() {
    let (store, now) = (store(8).await, Timestamp::now());
    add_pool(&store, now).await;
    store.record_heartbeat("p", &Heartbeat::new("w", Some(30)), now).await.unwrap();
    let (beat, cost) =
        cost::measured(store.record_heartbeat("p", &Heartbeat::new("w", Some(30)), now.plus_seconds(30.0))).await;
    beat.unwrap();
    assert_eq!(cost.round_trips, 2);
}

#[tokio::test]
async fn a_poll_that_was_noted_a_moment_ago_is_not_noted_again() {
    let (store, now) = (store(1).await, Timestamp::now());
    let found = add_pool(&store, now).await;
    store.note_poll(&found.queues, now).await.unwrap();
    let found = store.work_pool_with_queues("p").await.unwrap().unwrap();
    let soon = now.plus_seconds(4.0);
    let (_, cost) = cost::measured(store.note_poll(&found.queues, soon)).await;
    assert!(cost.write_units.abs() < f64::EPSILON, "{cost:?}");
    let later = now.plus_seconds(6.0);
    store.note_poll(&found.queues, later).await.unwrap();
    let found = store.work_pool_with_queues("p").await.unwrap().unwrap();
    assert_eq!(found.queues[0].record.queue.last_polled, Some(later));
}

/// Returns when those of `deployments` that are ready were last polled.
async fn ready(store: &Store, deployments: &[Deployment]) -> Vec<Option<Timestamp>> {
    let polls = store.readiness_of(deployments.iter().map(|deployment| deployment.id)).await.unwrap();
    let queues = deployments.iter().filter_map(|deployment| deployment.work_queue_id);
    let queues = store.work_queues_by_ids(queues).await.unwrap();
    let polled = |deployment: &Deployment| {
        let mut deployment = deployment.clone();
        let queue = deployment.work_queue_id.and_then(|id| queues.get(&id));
        polls.get(&deployment.id)?.fill_in(&mut deployment, queue);
        (deployment.status == DeploymentStatus::Ready).then_some(deployment.last_polled)
    };
    deployments.iter().filter_map(polled).collect()
}

#[tokio::test]
async fn deployments_follow_their_queue() {
    let (store, now) = (store(1).await, Timestamp::now());
    let found = add_pool(&store, now).await;
    let queue = found.queues[0].record.queue.id;
    let flow = Flow::new(FlowId::new(), "f", now);
    let mut deployments = Vec::new();
    for number in 0..50 {
        let mut deployment = Deployment::new(DeploymentId::new(), &flow, format!("d {number}"), now);
        deployment.work_queue_id = Some(queue);
        store.add_deployment(&deployment, Vec::new()).await.unwrap();
        store.place_deployment(deployment.id, Some(queue)).await.unwrap();
        deployments.push(deployment);
    }
    store.note_poll(&found.queues, now).await.unwrap();
    assert_eq!(ready(&store, &deployments).await, vec![Some(now); 20], "a poll takes some of them along");
    let key = table::work_queue(queue);
    assert!(!store.check_queue(&key, now).await.unwrap());
    assert_eq!(ready(&store, &deployments).await, vec![Some(now); 50], "the others follow");

    let found = store.work_pool_with_queues("p").await.unwrap().unwrap();
    let later = now.plus_seconds(40.0);
    let (_, cost) = cost::measured(store.note_poll(&found.queues, later)).await;
    assert_eq!(cost.round_trips, 2, "deployments that are ready cost a poll nothing");
    assert!(!store.check_queue(&key, now.plus_seconds(60.0)).await.unwrap());
    assert_eq!(ready(&store, &deployments).await, vec![Some(later); 50]);
    assert!(!store.check_queue(&key, now.plus_seconds(100.0)).await.unwrap());
    assert_eq!(ready(&store, &deployments).await, vec![]);
}

#[tokio::test]
async fn a_deployment_that_is_served_is_ready_until_nobody_polls_for_it() {
    let (store, now) = (store(1).await, Timestamp::now());
    let flow = Flow::new(FlowId::new(), "f", now);
    let deployment = Deployment::new(DeploymentId::new(), &flow, "d", now);
    store.add_deployment(&deployment, Vec::new()).await.unwrap();
    let ids = [deployment.id, DeploymentId::new()];
    store.note_poll_of_deployments(&ids, now).await.unwrap();
    let deployments = [deployment];
    assert_eq!(ready(&store, &deployments).await, [Some(now)]);
    store.note_poll_of_deployments(&ids, now.plus_seconds(30.0)).await.unwrap();
    let key = table::readiness(ids[0]);
    store.check_deployment(&key, now.plus_seconds(60.0)).await.unwrap();
    assert_eq!(ready(&store, &deployments).await, [Some(now.plus_seconds(30.0))]);
    store.check_deployment(&key, now.plus_seconds(90.0)).await.unwrap();
    assert_eq!(ready(&store, &deployments).await, []);
}
