//! Probes of events and logs.

use common::{
    Result,
    filter::{EventFilter, LogSort},
    model::{
        EventId, FlowId, FlowRun, FlowRunId, Log, LogCreate, ReceivedEvent, State, StateId, StateType, TaskRunId,
        Timestamp,
    },
    store::{event_query::Counting, events::FLOW_RUN_RESOURCE},
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    probe::Probe,
    world::{PAGE, World, any, read},
};

pub(crate) async fn probes() -> Vec<Probe> {
    let mut probes = Box::pin(events()).await;
    probes.extend(Box::pin(logs()).await);
    probes
}

async fn events() -> Vec<Probe> {
    let world = World::new().await;
    let flow_run = format!("{FLOW_RUN_RESOURCE}{}", FlowRunId::new());
    // One whose id tells its time, and one before it whose id does not.
    for (id, seconds) in [(Uuid::now_v7(), 0.0), (Uuid::new_v4(), -1.0)] {
        let event: ReceivedEvent = read(json!({
            "occurred": Timestamp::now().plus_seconds(seconds),
            "event": "kettle.boiled",
            "resource": {"prefect.resource.id": "kettle"},
            "related": [{"prefect.resource.id": flow_run, "prefect.resource.role": "flow-run"}],
            "id": id,
            "received": world.now,
        }));
        world.store.add_events(&[event], 3_600).await.unwrap();
    }
    let found = async |filter: Value| -> Result<Vec<ReceivedEvent>> {
        let mut filter: EventFilter = read(filter);
        filter.resolve(Timestamp::now());
        Ok(world.store.read_events(&filter, None, 10, Counting::Ahead).await?.events)
    };
    let of_transition = EventId(transition(&world, FlowRunId::new()).await.0);
    vec![
        world.probe("the event of a flow run's transition by its id", world.store.event(of_transition)).await,
        world.probe("the events of a resource, by time", found(json!({"resource": {"id": ["kettle"]}}))).await,
        world
            .probe(
                "the events of a flow run and those that relate to it, by time",
                found(json!({"any_resource": {"id": [flow_run]}})),
            )
            .await,
        world.probe("all events by time of occurrence", found(json!({}))).await,
    ]
}

/// Lets a flow run enter its first state, and adds the event of that.
async fn transition(world: &World, run: FlowRunId) -> StateId {
    let state = State::new(run.state_id(1), StateType::Running, Timestamp::now());
    let mut flow_run = FlowRun::new(run, FlowId::new(), "a run", Timestamp::now());
    flow_run.state = Some(state.clone());
    world.store.commit(world.store.remember_state(&mut flow_run, None, None).unwrap()).await.unwrap();
    let event: ReceivedEvent = read(json!({
        "occurred": state.timestamp,
        "event": "prefect.flow-run.Running",
        "resource": {"prefect.resource.id": format!("{FLOW_RUN_RESOURCE}{run}")},
        "id": state.id,
        "received": world.now,
    }));
    world.store.add_transitions(&[event], 3_600).await.unwrap();
    world.store.commit(vec![world.store.insert(&flow_run).unwrap()]).await.unwrap();
    state.id
}

async fn logs() -> Vec<Probe> {
    let world = World::new().await;
    let (flow_run, task_run) = (FlowRunId::new(), TaskRunId::new());
    let line = LogCreate {
        name: "prefect".to_owned(),
        level: 20,
        message: "line".to_owned(),
        timestamp: world.now,
        flow_run_id: Some(flow_run),
        task_run_id: Some(task_run),
    };
    world.store.add_logs(vec![line], world.now).await.unwrap();
    let found = async |filter: Value| -> Result<Vec<Log>> {
        world.store.logs(&read(filter), LogSort::TimestampAsc, PAGE).await
    };
    vec![
        world.probe("the logs of a flow run, by time", found(json!({"flow_run_id": any(flow_run)}))).await,
        world.probe("the logs of a task run, by time", found(json!({"task_run_id": any(task_run)}))).await,
        world.probe("all logs by time", found(json!({}))).await,
    ]
}
