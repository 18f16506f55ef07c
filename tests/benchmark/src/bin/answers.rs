//! What it takes to make an answer of a stored record: reading the record, computing what an answer says besides, writing it.
//!
//! `answers [TIMES]` does so with a flow run as clients leave it and an event of it, that often (20,000). It shows what would
//! be saved if stored JSON were copied into answers, where nothing is computed.

use std::{error::Error, hint::black_box, time::Instant};

use common::{
    model::{FlowId, FlowRun, FlowRunId, ReceivedEvent, State, StateType, Timestamp},
    store::{Item, Shards, record::Record},
};
use mimalloc::MiMalloc;
use serde::Serialize;
use serde_json::json;

/// What the local server allocates with.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> Result<(), Box<dyn Error>> {
    let times: u32 = std::env::args().nth(1).map_or(Ok(20_000), |times| times.parse())?;
    println!("| of | stored bytes | read, µs | answer, bytes | write, µs |\n|---|--:|--:|--:|--:|");
    let now = Timestamp::now();
    show("flow run", &flow_run(now), |run| run.with_estimates(now), times)?;
    show("event", &event(now)?, |event| event, times)
}

fn show<R: Record, A: Serialize>(
    of: &str,
    record: &R,
    answer: impl Fn(R) -> A,
    times: u32,
) -> Result<(), Box<dyn Error>> {
    let item = Item::of(record, 1, Shards(1))?;
    let stored = [&item.head, &item.tail].into_iter().flatten().map(String::len).sum::<usize>();
    let began = Instant::now();
    for _ in 0..times {
        black_box(item.record::<R>()?);
    }
    let read = began.elapsed() / times;
    let answer = answer(item.record::<R>()?);
    let began = Instant::now();
    for _ in 0..times {
        black_box(serde_json::to_vec(&answer)?);
    }
    let write = began.elapsed() / times;
    let bytes = serde_json::to_vec(&answer)?.len();
    let micros = |time: std::time::Duration| time.as_secs_f64() * 1e6;
    println!("| {of} | {stored} | {:.1} | {bytes} | {:.1} |", micros(read), micros(write));
    Ok(())
}

fn flow_run(now: Timestamp) -> FlowRun {
    let mut run = FlowRun::new(FlowRunId::new(), FlowId::new(), "brave-otter", now);
    run.tags = vec!["orders".into(), "nightly".into()];
    run.parameters.insert("source".into(), "s3://bucket/orders/part-0000001.parquet".into());
    run.past.entered = 3;
    run.past.left =
        [StateType::Scheduled, StateType::Pending].map(|r#type| State::new(run.id.state_id(1), r#type, now)).into();
    run.state = Some(State::new(run.id.state_id(3), StateType::Running, now));
    (run.state_type, run.state_name, run.start_time) = (Some(StateType::Running), Some("Running".into()), Some(now));
    run
}

fn event(now: Timestamp) -> Result<ReceivedEvent, serde_json::Error> {
    let related =
        |role: &str| json!({"prefect.resource.id": format!("prefect.{role}.1"), "prefect.resource.role": role});
    serde_json::from_value(json!({
        "occurred": now, "event": "prefect.flow-run.Running", "id": uuid::Uuid::now_v7(), "received": now,
        "resource": {"prefect.resource.id": "prefect.flow-run.1", "prefect.resource.name": "brave-otter"},
        "related": [related("flow"), related("deployment"), related("work-queue"), related("work-pool")],
        "payload": {"intended": {"from": "PENDING", "to": "RUNNING"}, "validated_state": {"type": "RUNNING"}},
    }))
}
