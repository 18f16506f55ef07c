//! Probes of task runs, their cached states and the leases that they hold.

use common::{
    filter::{RunFilters, TaskRunSort},
    model::{
        ConcurrencyLimit, ConcurrencyLimitId, FlowRunId, Lease, LeaseId, State, StateId, StateType, TaskRun, TaskRunId,
        Timestamp, concurrency_limit::LongestWaits,
    },
    store::{slots::Slots, table},
};
use serde_json::json;

use crate::{
    probe::Probe,
    world::{PAGE, World},
};

pub(crate) async fn probes() -> Vec<Probe> {
    let world = World::new().await;
    let (store, now, flow_run) = (&world.store, world.now, FlowRunId::new());
    let run = world.task_run(|run| run.flow_run_id = Some(flow_run)).await;
    let (key, state) = (table::task_run(run.id), world.state(StateType::Completed));
    let cached = store.cache_state("cache key", None, &key, &state).unwrap();
    store.commit(vec![store.put_state(key, &state, None).unwrap(), cached]).await.unwrap();
    let (last, earlier) = (StateId::new(), StateId::new());
    world.task_run(|run| ended_in(run, last)).await;
    let event = serde_json::from_value(json!({
        "occurred": now, "received": now, "event": "prefect.task-run.Pending", "id": earlier,
        "resource": {"prefect.resource.id": format!("prefect.task-run.{}", TaskRunId::new())},
        "related": [{
            "prefect.resource.id": format!("prefect.flow-run.{flow_run}"), "prefect.resource.role": "flow-run",
        }],
        "payload": {"task_run": {"task_key": run.task_key, "dynamic_key": run.dynamic_key}},
    }));
    store.add_events(&[event.unwrap()], 60).await.unwrap();
    store.update_task_run(run.id, |run| left(run, earlier)).await.unwrap();

    let limit = ConcurrencyLimit::new(ConcurrencyLimitId::new(), "tag:limit", 1, now);
    store.add(&limit).await.unwrap();
    let lease = Lease {
        id: LeaseId::new(),
        expiration: now.plus_seconds(60.0),
        slots: 1,
        holder: Some(json!({"type": "task_run", "id": run.id})),
        created: Some(now),
        limits: vec![limit.id],
        is_listed: false,
    };
    let mut slots = Slots::new(store, now, LongestWaits::default());
    assert!(slots.acquire(&lease).await.unwrap());
    store.commit(slots.into_writes().unwrap()).await.unwrap();

    let by_key = store.task_run_by_key(Some(flow_run), &run.task_key, &run.dynamic_key);
    let mut probes = vec![
        world.probe("a task run by its id", store.task_run(run.id)).await,
        world.probe("a task run by its flow run, task key and dynamic key", by_key).await,
        world.probe("the newest state of a task's cache key", store.cached_state("cache key")).await,
        world.probe("the last state of a task run by its id", store.task_run_state(last)).await,
        world
            .probe("an earlier state of a task run by its id, while its event is kept", store.task_run_state(earlier))
            .await,
        world.probe("the ids of the leases that a task run holds", store.leases_held_by(run.id)).await,
        world.probe("the leases on slots of a tag's concurrency limit", store.holders_of_slots(limit.id, now)).await,
        world.probe("a lease by its id", store.renew_lease(lease.id, now, 60.0)).await,
        world.probe("the task runs of a flow run, by expected start time", store.task_runs_of(flow_run)).await,
    ];
    let orders = [
        ("all task runs by expected start time", TaskRunSort::ExpectedStartTimeDesc),
        ("all task runs by next scheduled start time, those without one first", TaskRunSort::NextScheduledStartTimeAsc),
        ("all task runs by end time", TaskRunSort::EndTimeDesc),
        ("all task runs by name", TaskRunSort::NameAsc),
        ("all task runs by id", TaskRunSort::IdDesc),
    ];
    for (asked, sort) in orders {
        probes.push(world.probe(asked, store.task_runs(&RunFilters::default(), sort, PAGE)).await);
    }
    probes
}

fn ended_in(run: &mut TaskRun, state: StateId) {
    run.state = Some(State::new(state, StateType::Completed, Timestamp::now()));
    run.past.entered = 1;
}

fn left(run: &mut TaskRun, state: StateId) {
    run.past.left.push(State::new(state, StateType::Pending, Timestamp::now()));
    run.past.entered = 2;
}
