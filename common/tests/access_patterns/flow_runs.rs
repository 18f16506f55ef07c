//! Probes of flow runs, their states and inputs, and operations on many of them.

use common::{
    Result,
    filter::{FlowRunInputFilter, FlowRunSort, RunFilters},
    model::{
        BulkAction, BulkOperation, BulkOperationId, FlowId, FlowRun, FlowRunInput, FlowRunInputId, StateType, TaskRunId,
    },
    store::{flow_runs::KeyHolder, table},
};
use serde_json::{Value, json};

use crate::{
    probe::Probe,
    world::{PAGE, World, any, read},
};

pub(crate) async fn probes() -> Vec<Probe> {
    let mut probes = Box::pin(one()).await;
    probes.extend(Box::pin(groups()).await);
    probes.extend(Box::pin(orders()).await);
    probes
}

async fn one() -> Vec<Probe> {
    let world = World::new().await;
    let (store, now) = (&world.store, world.now);
    let run = world.flow_run(FlowId::new(), |_| {}).await;
    let mut state = world.state(StateType::Scheduled);
    let foreign = state.id;
    let elsewhere = store.put_state(table::flow_run(run.id), &state, None).unwrap();
    store.commit(vec![elsewhere]).await.unwrap();
    state.id = run.id.state_id(1);
    let claim = store.claim(table::unique_flow_run(run.flow_id, "key"), run.id).unwrap();
    let put = store.put_state(table::flow_run(run.id), &state, Some(now)).unwrap();
    store.commit(vec![claim, put]).await.unwrap();
    let input = FlowRunInput {
        id: FlowRunInputId::new(),
        created: now,
        updated: now,
        flow_run_id: run.id,
        key: "key".parse().unwrap(),
        value: "value".to_owned(),
        sender: None,
    };
    store.add_flow_run_input(&input).await.unwrap();
    let operation = BulkOperation {
        id: BulkOperationId::new(),
        created: now,
        filter: None,
        work: BulkAction::DeleteFlowRuns,
        parts: 0,
        stopped: None,
    };
    store.begin_bulk_operation(&operation, &[]).await.unwrap();
    let by_key = async {
        let holder = store.flow_run_by_key(run.flow_id, "key", now).await?;
        Ok(matches!(holder, KeyHolder::Run(_)))
    };
    let inputs = FlowRunInputFilter { prefix: String::new(), exclude_keys: Vec::new() };
    let timers = async {
        let mut found = Vec::new();
        for partition in store.timer_partitions() {
            found.extend(store.timers(&partition, None, now, 10).await?);
        }
        Ok(found)
    };
    world.flow_run(run.flow_id, |run| run.next_scheduled_start_time = Some(now)).await;
    store.move_late_runs_cursor(None, now).await.unwrap();
    let may_be_late = async {
        let after = store.late_runs_cursor().await?.unwrap().record.looked_until.plus_seconds(-120.0).sortable();
        let mut found = Vec::new();
        for partition in store.next_start_partitions() {
            found.extend(store.next_starts(&partition, Some(&after), now, 10).await?);
        }
        let keys: Vec<_> = found.into_iter().map(|next| table::flow_run(next.run)).collect();
        store.get_many::<FlowRun>(&keys).await
    };
    vec![
        world.probe("a flow run by its id", store.flow_run(run.id)).await,
        world.probe("a flow run by its flow and idempotency key", by_key).await,
        world.probe("the states of a flow run, oldest first", store.flow_run_states(run.id)).await,
        world.probe("a state by its id", store.flow_run_state(state.id)).await,
        world.probe("a state by an id that does not tell its run", store.flow_run_state(foreign)).await,
        world.probe("the inputs of a flow run, by creation", store.flow_run_inputs(run.id, &inputs)).await,
        world.probe("an operation on many flow runs by its id", store.bulk_operation(operation.id)).await,
        world.probe("what the server acts on by itself, by when", timers).await,
        world.probe("the flow runs that may be late next, by next scheduled start time", may_be_late).await,
    ]
}

/// Asks for the flow runs that belong to something, in the order of their group.
async fn groups() -> Vec<Probe> {
    let world = World::new().await;
    let store = &world.store;
    let flow = world.flow().await;
    let queue = world.pool("pool").await.queues[0].record.queue.id;
    let deployment = world.deployment(&flow, Some(queue)).await;
    let parent = world.flow_run(flow.id, |_| {}).await;
    let run = world
        .flow_run(flow.id, |run| {
            run.state_type = Some(StateType::Failed);
            (run.deployment_id, run.work_queue_id) = (Some(deployment.id), Some(queue));
            (run.parent_flow_run_id, run.parent_task_run_id) = (Some(parent.id), Some(TaskRunId::new()));
        })
        .await;
    world
        .flow_run(flow.id, |run| {
            run.state_type = Some(StateType::Scheduled);
            run.expected_start_time = Some(run.created);
            run.next_scheduled_start_time = run.expected_start_time;
        })
        .await;
    let filtered = async |filters: Value| -> Result<Vec<FlowRun>> {
        store.flow_runs(&read(filters), FlowRunSort::StartTimeAsc, PAGE).await
    };
    let own = |field: &str, value: Value| json!({"flow_runs": {field: value}});
    let failed = json!({"type": any(run.state_type)});
    let scheduled = json!({"type": any(StateType::Scheduled)});
    vec![
        world.probe("the subflow runs of a flow run", filtered(own("parent_flow_run_id", any(parent.id)))).await,
        world.probe("the flow runs of a flow, by start time", filtered(json!({"flows": {"id": any(flow.id)}}))).await,
        world.probe("the flow runs in states of some types, by start time", filtered(own("state", failed))).await,
        world
            .probe("the scheduled flow runs, by start time or the expected one", filtered(own("state", scheduled)))
            .await,
        world
            .probe("the flow runs of a deployment, by start time", filtered(own("deployment_id", any(deployment.id))))
            .await,
        world
            .probe(
                "the flow runs of a work queue, by start time",
                filtered(json!({"work_pool_queues": {"id": any(queue)}})),
            )
            .await,
    ]
}

/// Asks for all flow runs, in each order that has an index.
async fn orders() -> Vec<Probe> {
    let world = World::new().await;
    // In the last of the indexes that a page by start time reads at once.
    let pending = |run: &mut FlowRun| {
        run.state_type = Some(StateType::Pending);
        run.expected_start_time = Some(run.created);
    };
    world.flow_run(FlowId::new(), pending).await;
    let orders = [
        ("all flow runs by start time, or the expected one", FlowRunSort::StartTimeDesc),
        ("all flow runs by expected start time", FlowRunSort::ExpectedStartTimeDesc),
        ("all flow runs by next scheduled start time, those without one first", FlowRunSort::NextScheduledStartTimeAsc),
        ("all flow runs by end time, those without one last", FlowRunSort::EndTimeDesc),
        ("all flow runs by name", FlowRunSort::NameAsc),
        ("all flow runs by id", FlowRunSort::IdDesc),
    ];
    let mut probes = Vec::new();
    for (asked, sort) in orders {
        probes.push(world.probe(asked, world.store.flow_runs(&RunFilters::default(), sort, PAGE)).await);
    }
    probes
}
