//! The data: runs of 200 flows and 500 deployments over 30 days, the same in each database but for their number.

use std::error::Error;

use common::{
    Store,
    model::{
        Deployment, DeploymentId, Flow, FlowId, FlowRun, Seconds, State, StateType, Timestamp, WorkPool, WorkPoolId,
        WorkQueue, WorkQueueId, work_queue::PoolOfQueue,
    },
    store::{Item, work_pools::StoredWorkPool, work_queues::StoredWorkQueue},
};
use serde_json::{Value, json};
use sqlite::Changes;
use uuid::Uuid;

/// How many flows there are.
pub(crate) const FLOWS: usize = 200;
/// How many deployments there are, on the flows in turn.
pub(crate) const DEPLOYMENTS: usize = 500;
/// The share of the deployments that each work pool has, in percent.
const POOLS: [usize; 4] = [60, 30, 9, 1];
/// The days that the runs are spread over.
pub(crate) const DAYS: f64 = 30.0;
/// How many runs are written at once.
const BATCH: usize = 1_000;
/// Of how many runs there is one of each name's second word.
const WORDS: usize = 50;

/// The namespaces of the ids, so that each database has the same.
const FLOW: u128 = 0xf1;
const DEPLOYMENT: u128 = 0xde;
const POOL: u128 = 0x90;
const QUEUE: u128 = 0x9e;
const RUN: u128 = 0x10;
const STATE: u128 = 0x57;

fn id(kind: u128, number: usize) -> Uuid {
    Uuid::new_v5(&Uuid::from_u128(kind), &number.to_be_bytes())
}

/// Returns the id of a flow.
pub(crate) fn flow(number: usize) -> FlowId {
    id(FLOW, number).into()
}

/// Returns the id of a deployment.
pub(crate) fn deployment(number: usize) -> DeploymentId {
    id(DEPLOYMENT, number).into()
}

/// Returns the number of the pool that has a deployment.
fn pool_of(deployment: usize) -> usize {
    let mut rest = deployment % 100;
    for (number, share) in POOLS.iter().enumerate() {
        match rest.checked_sub(*share) {
            Some(more) => rest = more,
            None => return number,
        }
    }
    0
}

/// The records besides the flow runs.
pub(crate) struct Around {
    pub(crate) flows: Vec<Flow>,
    pub(crate) pools: Vec<WorkPool>,
    pub(crate) queues: Vec<WorkQueue>,
    pub(crate) deployments: Vec<Deployment>,
}

impl Around {
    /// Makes the flows, pools with a queue each, and deployments.
    pub(crate) fn new(now: Timestamp) -> serde_json::Result<Self> {
        let flows = (0..FLOWS).map(|number| Flow::new(flow(number), format!("flow-{number}"), now)).collect();
        let pools = (0..POOLS.len()).map(|number| {
            serde_json::from_value(json!({
                "id": WorkPoolId(id(POOL, number)), "created": now, "updated": now, "name": format!("pool-{number}"),
                "type": "process", "default_queue_id": WorkQueueId(id(QUEUE, number)),
            }))
        });
        let queues = (0..POOLS.len()).map(|number| {
            serde_json::from_value(json!({
                "id": WorkQueueId(id(QUEUE, number)), "created": now, "updated": now, "name": "default",
                "work_pool_id": WorkPoolId(id(POOL, number)), "priority": 1,
            }))
        });
        let deployments = (0..DEPLOYMENTS).map(|number| {
            serde_json::from_value(json!({
                "id": deployment(number), "created": now, "updated": now, "name": format!("deployment-{number}"),
                "flow_id": flow(number % FLOWS), "flow_name": format!("flow-{}", number % FLOWS),
                "work_queue_id": WorkQueueId(id(QUEUE, pool_of(number))), "work_queue_name": "default",
            }))
        });
        Ok(Self {
            flows,
            pools: pools.collect::<serde_json::Result<_>>()?,
            queues: queues.collect::<serde_json::Result<_>>()?,
            deployments: deployments.collect::<serde_json::Result<_>>()?,
        })
    }
}

/// Adds the flows, pools and deployments, and `runs` flow runs that end at `now`; nothing is to follow from their changes.
pub(crate) async fn fill(
    store: &Store,
    changes: &mut Changes,
    runs: usize,
    now: Timestamp,
) -> std::result::Result<(), Box<dyn Error>> {
    let Around { flows, pools, queues, deployments } = Around::new(now)?;
    for flow in flows {
        let _ = store.add_flow(flow).await?;
    }
    for (pool, queue) in pools.into_iter().zip(queues) {
        let queue = StoredWorkQueue::new(queue, PoolOfQueue::new(&pool));
        let kept = StoredWorkPool { pool, queues: vec![queue.queue.id], last_status: None, check: None };
        store.add_work_pool(&kept, &queue).await?;
    }
    for deployment in deployments {
        store.add_deployment(&deployment, Vec::new()).await.map_err(common::Error::from)?;
    }
    let mut items = Vec::with_capacity(BATCH);
    for number in 0..runs {
        items.push(Item::of(&run(number, runs, now), 1, store.shards())?);
        if items.len() == BATCH || number + 1 == runs {
            store.insert_missing(std::mem::take(&mut items)).await?;
            changes.next(2 * BATCH).await?;
            changes.acknowledge();
        }
        if number % 100_000 == 99_999 {
            eprintln!("[scale] {} runs", number + 1);
        }
    }
    Ok(())
}

/// Makes the run `number` of `of`; four of five come from a deployment.
pub(crate) fn run(number: usize, of: usize, now: Timestamp) -> FlowRun {
    // A fixed permutation mixes the runs of all flows, states and names through time.
    let mixed = number.wrapping_mul(2_654_435_761) % 1_000_003;
    #[expect(clippy::cast_precision_loss, reason = "counts of a benchmark are small")]
    let expected = now.plus_seconds(-DAYS * 86_400.0 * (number as f64 + 0.5) / of as f64);
    let name = format!("run-{number} {}", word(mixed / 7 % WORDS));
    let of_deployment = (!mixed.is_multiple_of(5)).then_some(mixed / 5 % DEPLOYMENTS);
    let flow = flow(of_deployment.map_or(mixed / 5 % FLOWS, |deployment| deployment % FLOWS));
    let mut run = FlowRun::new(id(RUN, number).into(), flow, name, expected);
    if let Some(number) = of_deployment {
        let pool = pool_of(number);
        run.deployment_id = Some(deployment(number));
        (run.work_queue_id, run.work_queue_name) = (Some(id(QUEUE, pool).into()), Some("default".into()));
        (run.work_pool_id, run.work_pool_name) = (Some(id(POOL, pool).into()), Some(format!("pool-{pool}")));
    }
    let r#type = match mixed / 11 % 200 {
        0..170 => StateType::Completed,
        170..186 => StateType::Failed,
        186..190 => StateType::Crashed,
        190..194 => StateType::Cancelled,
        194..196 => StateType::Running,
        196 => StateType::Pending,
        _ => StateType::Scheduled,
    };
    run.tags = vec![format!("team-{}", mixed / 13 % 20)];
    if mixed.is_multiple_of(1_000) {
        run.tags.push("rare".into());
    }
    run.parameters.insert("customer".into(), Value::from(number));
    run.expected_start_time = Some(expected);
    let has_started = !matches!(r#type, StateType::Scheduled | StateType::Pending);
    run.start_time = has_started.then(|| expected.plus_seconds(1.5));
    run.next_scheduled_start_time = (r#type == StateType::Scheduled).then_some(expected);
    run.total_run_time = Seconds::from_micros(if has_started { 28_500_000 } else { 0 });
    let state = State::new(id(STATE, number).into(), r#type, expected.plus_seconds(30.0));
    run.end_time = r#type.is_terminal().then_some(state.timestamp);
    (run.state_id, run.state_type, run.state_name) = (Some(state.id), Some(r#type), Some(state.name.clone()));
    run.state = Some(state);
    run
}

fn word(number: usize) -> String {
    const SYLLABLES: [&str; 10] = ["ba", "de", "fi", "go", "ku", "la", "me", "ni", "po", "ru"];
    let syllable = |place: usize| SYLLABLES.get(place % 10).copied().unwrap_or_default();
    format!("{}{}", syllable(number / 10), syllable(number))
}

/// Returns the filters that are measured, by name, over runs that end at `now`.
pub(crate) fn filters(now: Timestamp) -> Vec<(&'static str, Value)> {
    let yesterday = now.plus_seconds(-86_400.0);
    vec![
        ("no filter", json!({})),
        ("state FAILED (8 %)", json!({"flow_runs": {"state": {"type": {"any_": ["FAILED"]}}}})),
        ("states FAILED, CRASHED", json!({"flow_runs": {"state": {"type": {"any_": ["FAILED", "CRASHED"]}}}})),
        ("state RUNNING (1 %)", json!({"flow_runs": {"state": {"type": {"any_": ["RUNNING"]}}}})),
        ("flow (1 of 200)", json!({"flows": {"id": {"any_": [flow(17)]}}})),
        ("flow by name", json!({"flows": {"name": {"any_": ["flow-17"]}}})),
        ("deployment (1 of 500)", json!({"flow_runs": {"deployment_id": {"any_": [deployment(17)]}}})),
        (
            "deployment, FAILED",
            json!({
                "deployments": {"id": {"any_": [deployment(17)]}},
                "flow_runs": {"state": {"type": {"any_": ["FAILED"]}}},
            }),
        ),
        ("work pool (60 %)", json!({"work_pools": {"name": {"any_": ["pool-0"]}}})),
        ("work pool (1 %)", json!({"work_pools": {"name": {"any_": ["pool-3"]}}})),
        ("expected within a day", json!({"flow_runs": {"expected_start_time": {"after_": yesterday}}})),
        ("started within a day", json!({"flow_runs": {"start_time": {"after_": yesterday}}})),
        ("tag (1 of 20)", json!({"flow_runs": {"tags": {"all_": ["team-3"]}}})),
        ("name like (1 of 50)", json!({"flow_runs": {"name": {"like_": "figo"}}})),
    ]
}
