//! The planner of flow-run queries against a naive predicate over everything: any filters, any sort, any page, on both
//! databases. SQLite keeps tallies; the emulator has them where its stream is counted.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashMap;

use common::{
    Store,
    filter::{DeploymentFacts, DeploymentSort, FlowFacts, FlowRunFacts, FlowRunSort, FlowSort, RunFilters},
    history::History,
    lateness::AverageLateness,
    model::{
        Deployment, DeploymentId, Flow, FlowId, FlowRun, FlowRunId, RunSummary, Seconds, State, StateId, StateType,
        TaskRunId, Timestamp, WorkPool, WorkPoolId, WorkQueue, WorkQueueId, work_queue::PoolOfQueue,
    },
    store::{
        Item, Shards, cost,
        select::Window,
        tallies::{CountedBatch, CountedChange},
        work_pools::StoredWorkPool,
        work_queues::StoredWorkQueue,
    },
};
use embedded::EmbeddedDatabase;
use proptest::{prelude::*, sample::select};
use serde_json::{Value, json};

/// How many flow runs the data has.
const RUNS: usize = 90;

/// A store with its records, which the naive query looks at one by one.
struct Data {
    store: Store,
    /// Whether the database keeps tallies.
    is_tallied: bool,
    flows: Vec<Flow>,
    deployments: Vec<Deployment>,
    pools: Vec<WorkPool>,
    queues: Vec<WorkQueue>,
    runs: Vec<FlowRun>,
}

fn minute(minutes: u64) -> Timestamp {
    Timestamp::from_micros(i64::try_from(minutes).unwrap() * 60_000_000 + 1_000_000_000_000_000).unwrap()
}

/// Returns an instant in a minute: its start, or one that is no whole second.
fn instant(minutes: u64, place: u64) -> Timestamp {
    const PLACES: [i64; 4] = [0, 1, 17_500_000, 59_999_999];
    Timestamp::from_micros(minute(minutes).as_micros() + PLACES[usize::try_from(place).unwrap()]).unwrap()
}

fn uuid(kind: u128, number: usize) -> uuid::Uuid {
    // Spread over the shards as random ids are, and yet the same in each case.
    uuid::Uuid::new_v5(&uuid::Uuid::from_u128(kind), &number.to_be_bytes())
}

fn from<T: serde::de::DeserializeOwned>(document: Value) -> T {
    serde_json::from_value(document).unwrap()
}

impl Data {
    /// Makes records on the emulator.
    async fn new(shards: u8, seed: u64) -> Self {
        let database = EmbeddedDatabase::in_memory().unwrap();
        let client = aws_sdk_dynamodb::Client::from_conf(database.sdk_config());
        let store = Store::new(client, "proctor-records", Shards(shards));
        store.create_table().await.unwrap();
        Self::on(store, false, seed).await
    }

    /// Makes records on SQLite, which keeps tallies.
    async fn tallied(shards: u8, seed: u64) -> Self {
        Self::on(Store::on(sqlite::Database::in_memory().unwrap(), Shards(shards)), true, seed).await
    }

    /// Makes records on the emulator, and has them counted as its stream tells of them.
    async fn counted(shards: u8, seed: u64) -> Self {
        let database = EmbeddedDatabase::in_memory().unwrap();
        let client = aws_sdk_dynamodb::Client::from_conf(database.sdk_config());
        let store = Store::new(client, "proctor-records", Shards(shards));
        store.create_table().await.unwrap();
        let data = Self::on(store, true, seed).await;
        let records = database.change_stream("proctor-records").next(100_000).await.unwrap();
        let attributes = |json: HashMap<String, Value>| from::<serde_dynamo::Item>(json!(json));
        let changes = records.into_iter().enumerate().map(|(place, record)| {
            let (old, new) = (record.old_image.map(attributes), record.new_image.map(attributes));
            CountedChange::read(&place.to_string(), 0, attributes(record.keys), old, new).unwrap()
        });
        let batch = CountedBatch { shard: "shard".into(), changes: changes.collect() };
        data.store.count_changes(&batch).await.unwrap();
        data.store.begin_tally_fill(minute(0)).await.unwrap();
        let mut found = data.store.tally_fill().await.unwrap().unwrap();
        while !found.record.is_complete() {
            data.store.go_on_filling_tallies(&mut found.record, minute(0)).await.unwrap();
        }
        data.store.advance_tally_fill(&found.record, found.version).await.unwrap();
        data
    }

    /// Makes records of which every filter below selects some: three flows, four deployments, two pools, four queues.
    async fn on(store: Store, is_tallied: bool, seed: u64) -> Self {
        let now = minute(0);
        let flows: Vec<Flow> =
            (0..3).map(|number| Flow::new(FlowId(uuid(1, number)), format!("flow {number}"), now)).collect();
        for flow in &flows {
            store.add_flow(flow.clone()).await.unwrap();
        }
        let (mut pools, mut queues) = (Vec::new(), Vec::new());
        for number in 0..2 {
            let (pool, default) = (WorkPoolId(uuid(2, number)), WorkQueueId(uuid(3, 2 * number)));
            let document = json!({"id": pool, "created": now, "updated": now, "name": format!("pool {number}"),
                "type": if number == 0 { "process" } else { "docker" }, "default_queue_id": default});
            let queue = |id, name: &str, priority| -> WorkQueue {
                from(
                    json!({"id": id, "created": now, "updated": now, "name": name, "work_pool_id": pool, "priority": priority}),
                )
            };
            let kept = StoredWorkPool { pool: from(document), queues: vec![default], last_status: None, check: None };
            let first = StoredWorkQueue::new(queue(default, "default", 1), PoolOfQueue::new(&kept.pool));
            store.add_work_pool(&kept, &first).await.unwrap();
            let other = queue(WorkQueueId(uuid(3, 2 * number + 1)), &format!("queue {number}"), 2);
            let to = store.work_pool_with_queues(&kept.pool.name).await.unwrap().unwrap();
            let other = store.add_work_queue(&to, other).await.unwrap();
            pools.push(kept.pool);
            queues.extend([first.queue, other]);
        }
        let mut deployments = Vec::new();
        for number in 0..4 {
            let flow = &flows[number % 2];
            let queue = queues.get(number);
            let deployment: Deployment = from(json!({
                "id": DeploymentId(uuid(4, number)), "created": now, "updated": now, "flow_id": flow.id,
                "flow_name": flow.name, "name": format!("deployment {}", number / 2), "paused": number == 3,
                "tags": [format!("tag {number}")], "work_queue_id": queue.map(|queue| queue.id),
                "work_queue_name": queue.map(|queue| &queue.name),
            }));
            store.add_deployment(&deployment, Vec::new()).await.unwrap();
            deployments.push(deployment);
        }
        let mut random = seed;
        let mut next = |below: u64| {
            // The constants of Knuth's generator; its high bits are the random ones.
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % below
        };
        let mut runs = Vec::new();
        for number in 0..RUNS {
            let flow = &flows[usize::try_from(next(3)).unwrap()];
            let mut run =
                FlowRun::new(FlowRunId(uuid(5 + u128::from(seed), number)), flow.id, format!("run {}", next(30)), now);
            let r#type = StateType::ALL[usize::try_from(next(9)).unwrap()];
            let name = if next(4) == 0 { "Late" } else { r#type.default_name() };
            let state = State::new(StateId::new(), r#type, minute(next(200))).named(name);
            (run.state_type, run.state_name) = (Some(r#type), Some(name.to_owned()));
            run.tags = vec![format!("tag {}", next(3))];
            if let Some((name, tag)) = AWKWARD.get(usize::try_from(next(30)).unwrap()) {
                // Long enough to be cut in a sort key, and unlike all others before that.
                let filling = "€".repeat(usize::try_from(next(2)).unwrap() * 400);
                run.name = format!("{} {number} {filling}{name}", next(30));
                run.tags.push((*tag).to_owned());
            }
            run.expected_start_time = (next(5) != 0).then(|| instant(next(200), next(4)));
            let soon = f64::from(u32::try_from(next(90)).unwrap());
            run.start_time = match next(5) {
                0 | 1 => None,
                2 | 3 => run.expected_start_time.map(|expected| expected.plus_seconds(soon)),
                _ => Some(instant(next(200), next(4))),
            };
            run.total_run_time = Seconds::from_micros(i64::try_from(next(9_000_000)).unwrap());
            run.parent_task_run_id = (next(5) == 0).then(|| TaskRunId(uuid(6, 0)));
            run.end_time = r#type.is_terminal().then(|| state.timestamp);
            let of_schedule = run.expected_start_time.filter(|_| next(3) != 0);
            run.next_scheduled_start_time =
                (r#type == StateType::Scheduled).then(|| of_schedule.unwrap_or_else(|| minute(next(200))));
            run.state = Some(state);
            if next(3) != 0 {
                // One of them is a deployment that is gone.
                let place = usize::try_from(next(5)).unwrap();
                run.deployment_id = Some(DeploymentId(uuid(4, place)));
                if let Some(queue) = queues.get(place) {
                    (run.work_queue_id, run.work_queue_name) = (Some(queue.id), Some(queue.name.clone()));
                    run.work_pool_id = queue.work_pool_id;
                }
            }
            store.commit(vec![store.insert(&run).unwrap()]).await.unwrap();
            runs.push(run);
        }
        Self { store, is_tallied, flows, deployments, pools, queues, runs }
    }

    /// Returns how many runs are pending, which stand together until they start.
    fn pending(&self) -> u64 {
        self.runs.iter().filter(|run| run.state_type == Some(StateType::Pending)).count() as u64
    }

    /// Says whether `run` matches, by looking at everything.
    fn matches(&self, filters: &RunFilters, run: &FlowRun) -> bool {
        let queue = self.queues.iter().find(|queue| Some(queue.id) == run.work_queue_id);
        let has_deployment = |flow: &Flow| self.deployments.iter().any(|deployment| deployment.flow_id == flow.id);
        filters.flow_runs.as_ref().is_none_or(|filter| filter.matches(run, FlowRunFacts::default()))
            && filters.task_runs.is_none()
            && filters.flows.as_ref().is_none_or(|filter| {
                let mut flows = self.flows.iter().filter(|flow| flow.id == run.flow_id);
                flows.any(|flow| filter.matches(flow, FlowFacts { has_deployment: has_deployment(flow) }))
            })
            && filters.deployments.as_ref().is_none_or(|filter| {
                let mut deployments = self.deployments.iter().filter(|one| Some(one.id) == run.deployment_id);
                deployments.any(|one| filter.matches(one, DeploymentFacts { flow_name: &one.flow_name }))
            })
            && filters.work_pool_queues.as_ref().is_none_or(|filter| queue.is_some_and(|queue| filter.matches(queue)))
            && filters.work_pools.as_ref().is_none_or(|filter| {
                let of_queue = |pool: &&WorkPool| queue.is_some_and(|queue| queue.work_pool_id == Some(pool.id));
                self.pools.iter().find(of_queue).is_some_and(|pool| filter.matches(pool))
            })
    }
}

/// Ends of names, and tags, in which other things are looked for than they seem to say.
const AWKWARD: [(&str, &str); 6] = [
    ("RUN 1", "run 1"),
    ("300 \u{212a}", "tag 1\",\"tag 2"),
    ("\"tags\":[\"tag 1\"],", "\"tags\":[\"tag 2\"]"),
    ("GRÜN\\", "back\\slash"),
    ("a\nb\u{1}c", "line\nbreak"),
    ("\"name\":\"run 1\"", "\"name\":\"run 1\""),
];

/// Clauses on flow runs: of each name there is one of several objects.
fn own_clauses() -> Vec<(&'static str, Vec<Value>)> {
    let window = json!({"after_": minute(40), "before_": minute(150)});
    let open = json!({"before_": minute(100)});
    let deployment = |number| DeploymentId(uuid(4, number));
    vec![
        (
            "state",
            vec![
                json!({"type": {"any_": ["FAILED"]}}),
                json!({"type": {"any_": ["RUNNING", "SCHEDULED", "RUNNING"]}}),
                json!({"type": {"not_any_": ["COMPLETED"]}}),
                json!({"name": {"any_": ["Late", "Running"]}}),
                json!({"type": {"any_": ["SCHEDULED", "PAUSED"]}, "name": {"any_": ["Late"]}}),
                json!({"type": {"any_": ["SCHEDULED"]}, "name": {"any_": ["Late"]}, "operator": "or_"}),
            ],
        ),
        (
            "deployment_id",
            vec![
                json!({"any_": [deployment(0)]}),
                json!({"any_": [deployment(1), deployment(4)]}),
                json!({"is_null_": true}),
            ],
        ),
        (
            "start_time",
            vec![
                window.clone(),
                open.clone(),
                json!({"is_null_": false}),
                json!({"after_": minute(90), "is_null_": true}),
            ],
        ),
        (
            "expected_start_time",
            vec![
                window.clone(),
                open.clone(),
                json!({"after_": minute(120)}),
                json!({"after_": instant(20, 2), "before_": instant(190, 1)}),
                json!({"after_": minute(100), "before_": minute(30)}),
            ],
        ),
        ("parent_task_run_id", vec![json!({"is_null_": true}), json!({"is_null_": false})]),
        ("end_time", vec![window, open, json!({"is_null_": true})]),
        (
            "tags",
            vec![
                json!({"all_": ["tag 1"]}),
                json!({"all_": []}),
                json!({"any_": ["tag 0", "tag 2"]}),
                json!({"all_": ["tag 1", "run 1"]}),
                json!({"all_": ["\"tags\":[\"tag 2\"]"]}),
                json!({"all_": ["tag 2"], "is_null_": true, "operator": "or_"}),
            ],
        ),
        (
            "name",
            vec![
                json!({"any_": ["run 3", "run 11", "run 3"]}),
                json!({"like_": "run 1"}),
                json!({"like_": "RUN 1"}),
                json!({"like_": ""}),
                json!({"like_": "k"}),
                json!({"like_": "grün\\"}),
                json!({"like_": "\"TAGS\":["}),
                json!({"like_": "B\u{1}C"}),
                json!({"like_": "2%"}),
            ],
        ),
        ("work_queue_name", vec![json!({"any_": ["default"]})]),
        ("operator", vec![json!("or_"), json!("and_")]),
    ]
}

/// Filters on what flow runs belong to.
fn related() -> Vec<(&'static str, Vec<Value>)> {
    let flow = |number| FlowId(uuid(1, number));
    let deployment = |number| DeploymentId(uuid(4, number));
    vec![
        (
            "flows",
            vec![
                json!({"id": {"any_": [flow(0), flow(2)]}}),
                json!({"name": {"any_": ["flow 1"]}}),
                json!({"deployment": {"is_null_": true}}),
                json!({"deployment": {"is_null_": false}, "name": {"like_": "flow"}}),
            ],
        ),
        (
            "deployments",
            vec![
                json!({"id": {"any_": [deployment(0), deployment(3), deployment(4)]}}),
                json!({"name": {"any_": ["deployment 1"]}}),
                json!({"paused": {"eq_": true}}),
                json!({"tags": {"all_": ["tag 2"]}}),
                json!({}),
            ],
        ),
        (
            "work_pools",
            vec![
                json!({"name": {"any_": ["pool 1"]}}),
                json!({"type": {"any_": ["process"]}}),
                json!({"id": {"any_": [WorkPoolId(uuid(2, 0))]}}),
            ],
        ),
        (
            "work_pool_queues",
            vec![
                json!({"name": {"any_": ["default"]}}),
                json!({"id": {"any_": [WorkQueueId(uuid(3, 1)), WorkQueueId(uuid(3, 2))]}}),
                json!({"name": {"startswith_": ["queue"]}}),
            ],
        ),
    ]
}

/// Any of the clauses, each with a weight of one in `rarity`.
fn any_of(clauses: Vec<(&'static str, Vec<Value>)>, rarity: u32) -> impl Strategy<Value = Value> {
    let each: Vec<_> = clauses
        .into_iter()
        .map(|(name, values)| {
            prop_oneof![rarity => Just(None), 1 => select(values).prop_map(Some)].prop_map(move |value| (name, value))
        })
        .collect();
    each.prop_map(|chosen| chosen.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect())
}

fn filters() -> impl Strategy<Value = Value> {
    (any_of(own_clauses(), 3), any_of(related(), 4)).prop_map(|(own, mut body)| {
        body["flow_runs"] = own;
        body
    })
}

async fn check(data: &Data, body: &Value, window: Window) {
    let filters: RunFilters = from(body.clone());
    let matching: Vec<FlowRun> = data.runs.iter().filter(|run| data.matches(&filters, run)).cloned().collect();
    for sort in FlowRunSort::ALL {
        let mut naive = matching.clone();
        naive.sort_by(|one, other| sort.compare(one, other));
        let naive: Vec<FlowRunId> = naive.iter().skip(window.offset).take(window.limit).map(|run| run.id).collect();
        let page = data.store.flow_runs(&filters, sort, window).await.unwrap();
        assert_eq!(page.iter().map(|run| run.id).collect::<Vec<_>>(), naive, "{sort:?} {window:?} {body}");
    }
    assert_eq!(data.store.count_flow_runs(&filters).await.unwrap(), matching.len() as u64, "{body}");
    check_with_runs(data, &filters).await;
    let summaries: Vec<RunSummary> = matching.iter().map(RunSummary::from).collect();
    // All are late, some are not yet, and the same within a minute; only tallies depend on that.
    let times = [minute(250), minute(100), instant(100, 2)];
    for now in times.into_iter().take(if data.is_tallied { 3 } else { 1 }) {
        check_estimates(data, body, &filters, &summaries, now).await;
    }
}

/// Checks which flows and deployments have a run that matches.
async fn check_with_runs(data: &Data, filters: &RunFilters) {
    let Some(of_runs) = &filters.flow_runs else { return };
    let filters = RunFilters { flow_runs: Some(of_runs.clone()), ..RunFilters::default() };
    let runs: Vec<&FlowRun> = data.runs.iter().filter(|run| data.matches(&filters, run)).collect();
    let all = Window { offset: 0, limit: 200 };
    let flows = data.store.flows(&filters, FlowSort::NameAsc, all).await.unwrap();
    let with_runs = data.flows.iter().filter(|flow| runs.iter().any(|run| run.flow_id == flow.id));
    assert_eq!(flows.iter().collect::<Vec<_>>(), with_runs.collect::<Vec<_>>(), "{of_runs:?}");
    let found = data.store.deployments(&filters, DeploymentSort::CreatedDesc, all).await.unwrap();
    let mut found: Vec<DeploymentId> = found.iter().map(|one| one.id).collect();
    found.sort();
    let with_runs = data.deployments.iter().filter(|one| runs.iter().any(|run| run.deployment_id == Some(one.id)));
    let mut with_runs: Vec<DeploymentId> = with_runs.map(|one| one.id).collect();
    with_runs.sort();
    assert_eq!(found, with_runs, "{of_runs:?}");
}

async fn check_estimates(data: &Data, body: &Value, filters: &RunFilters, summaries: &[RunSummary], now: Timestamp) {
    let mut lateness = AverageLateness::default();
    for run in summaries {
        lateness.add(run, now);
    }
    assert_eq!(data.store.flow_run_lateness(filters, now).await.unwrap().seconds(), lateness.seconds(), "{body}");
    // Of minutes, of what is none, and of what is less than one.
    for (start, interval) in [(minute(30), 1_200.0), (instant(30, 2), 1_000.0), (minute(95), 20.0)] {
        let empty = || History::new(start, minute(160), interval).unwrap();
        let (mut history, mut naive) = (empty(), empty());
        data.store.flow_run_history(filters, &mut history, now).await.unwrap();
        for run in summaries {
            naive.add(run, now);
        }
        assert_eq!(history.into_intervals(), naive.into_intervals(), "{interval} s at {now} of {body}");
    }
}

/// How many filters are tried for each of the data sets.
const FILTERS: u32 = 24;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn a_plan_finds_what_looking_at_everything_finds(
        seed in any::<u32>(),
        shards in 1u8..4,
        bodies in prop::collection::vec((filters(), 0usize..15, 1usize..40), FILTERS as usize),
    ) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            let seed = u64::from(seed);
            for data in [Data::new(shards, seed).await, Data::tallied(shards, seed).await, Data::counted(shards, seed).await] {
                for (body, offset, limit) in &bodies {
                    check(&data, body, Window { offset: *offset, limit: *limit }).await;
                }
            }
        });
    }
}

#[tokio::test]
async fn a_group_is_read_out_of_its_index() {
    let data = Data::new(1, 7).await;
    let explained = async |body: Value, sort| {
        let filters: RunFilters = from(body);
        let query = data.store.flow_runs(&filters, sort, Window { offset: 0, limit: 5 });
        let (found, cost) = cost::measured(query).await;
        assert!(!found.unwrap().is_empty());
        cost.explained().unwrap()
    };
    let of_deployment = json!({"flow_runs": {"deployment_id": {"any_": [data.deployments[0].id]}}});
    let failed = json!({"flow_runs": {"state": {"type": {"any_": ["FAILED"]}}}});
    let in_pool = json!({"work_pools": {"name": {"any_": ["pool 0"]}}});
    for sort in [FlowRunSort::StartTimeDesc, FlowRunSort::IdDesc, FlowRunSort::EndTimeDesc] {
        assert!(Box::pin(explained(of_deployment.clone(), sort)).await.starts_with("by_deployment: 1 shards, 1 pages"));
        assert!(Box::pin(explained(failed.clone(), sort)).await.starts_with("by_state: 1 shards, 1 pages"));
        let queues = "by_work_queue: 2 shards, 2 pages";
        assert!(Box::pin(explained(in_pool.clone(), sort)).await.contains(queues), "a partition for each queue");
    }
    let window = json!({"flow_runs": {"start_time": {"after_": minute(40)}}});
    for sort in [FlowRunSort::IdDesc, FlowRunSort::NameAsc, FlowRunSort::ExpectedStartTimeAsc] {
        assert!(Box::pin(explained(window.clone(), sort)).await.contains("by_start: 1 shards, 1 pages"));
    }
    for counted in [failed, of_deployment, in_pool] {
        let counted: RunFilters = from(counted);
        let (count, cost) = cost::measured(data.store.count_flow_runs(&counted)).await;
        let naive = data.runs.iter().filter(|run| data.matches(&counted, run)).count();
        assert_eq!(count.unwrap(), naive as u64);
        let most = naive as u64 + 5 + 2 * data.pending();
        assert!(naive > 0 && cost.items_read <= most, "keys, and a few records beside them: {cost:?}");
    }
}

#[tokio::test]
async fn more_partitions_than_a_query_may_ask_are_not_read_by_themselves() {
    let data = Data::new(20, 7).await;
    let explained = async |body: Value| {
        let filters: RunFilters = from(body);
        let query = data.store.flow_runs(&filters, FlowRunSort::StartTimeDesc, Window { offset: 0, limit: 5 });
        let (found, cost) = cost::measured(query).await;
        let plan = cost.explained().unwrap();
        let queries: u64 = cost.plan.values().map(|read| read.pages).sum();
        assert!(queries <= 520, "{queries} queries: {plan}");
        (found.unwrap().into_iter().map(|run| run.id).collect::<Vec<_>>(), plan)
    };
    let deployments = |count| (0..count).map(|number| json!(DeploymentId(uuid(4, number)))).collect::<Vec<_>>();
    let named = |count| json!({"flow_runs": {"deployment_id": {"any_": deployments(count)}}});
    let (few, plan) = Box::pin(explained(named(20))).await;
    assert!(plan.starts_with("by_deployment: 400 shards"), "{plan}");
    let (many, plan) = Box::pin(explained(named(21))).await;
    assert!(plan.contains("by_start: 20 shards"), "{plan}");
    assert_eq!(few, many);
    let called = |count| (0..count).map(|number| format!("deployment {number}")).collect::<Vec<_>>();
    for (count, index) in [(2, "by_deployment"), (100, "by_start")] {
        let (found, plan) = Box::pin(explained(json!({"deployments": {"name": {"any_": called(count)}}}))).await;
        assert!(!found.is_empty() && plan.contains(index), "{plan}");
    }
    let flows: Vec<Value> = (0..100).map(|number| json!(FlowId(uuid(1, number)))).collect();
    let (found, plan) = Box::pin(explained(json!({"flows": {"id": {"any_": flows}}}))).await;
    assert!(!found.is_empty() && plan.contains("by_start: 20 shards"), "{plan}");
}

#[tokio::test]
async fn a_group_too_long_to_sort_is_read_in_the_order_of_the_sort() {
    let data = Data::new(2, 7).await;
    let mut items = Vec::new();
    let mut runs = data.runs.clone();
    for number in 0..2_300 {
        let mut run =
            FlowRun::new(FlowRunId(uuid(9, number)), data.flows[0].id, format!("run {}", number % 700), minute(0));
        let state = State::new(StateId::new(), StateType::Completed, minute(1));
        (run.state_type, run.state_name) = (Some(state.r#type), Some(state.name.clone()));
        run.end_time = (number % 3 != 0).then(|| minute(u64::try_from(number % 150).unwrap()));
        run.state = Some(state);
        items.push(Item::of(&run, 1, data.store.shards()).unwrap());
        runs.push(run);
    }
    data.store.insert_missing(items).await.unwrap();
    let completed: RunFilters = from(json!({"flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}}}));
    runs.retain(|run| data.matches(&completed, run));
    for sort in [FlowRunSort::NameAsc, FlowRunSort::EndTimeDesc, FlowRunSort::IdDesc] {
        let window = Window { offset: 30, limit: 120 };
        let (page, cost) = Box::pin(cost::measured(data.store.flow_runs(&completed, sort, window))).await;
        runs.sort_by(|one, other| sort.compare(one, other));
        let naive: Vec<FlowRunId> = runs.iter().skip(30).take(120).map(|run| run.id).collect();
        assert_eq!(page.unwrap().iter().map(|run| run.id).collect::<Vec<_>>(), naive, "{sort:?}");
        assert_eq!(cost.plan.len(), 2, "{cost:?}");
    }
}

#[tokio::test]
async fn of_a_group_and_a_window_the_shorter_one_is_counted() {
    let data = Data::new(1, 7).await;
    let mut runs = data.runs.clone();
    let counted = async |runs: &[FlowRun]| {
        let late: RunFilters = from(json!({
            "work_pools": {"name": {"any_": ["pool 0"]}},
            "flow_runs": {"expected_start_time": {"after_": minute(150)}},
        }));
        let (count, cost) = cost::measured(data.store.count_flow_runs(&late)).await;
        let naive = runs.iter().filter(|run| data.matches(&late, run)).count();
        assert_eq!(count.unwrap(), naive as u64);
        assert!(naive > 0);
        let lateness = data.store.flow_run_lateness(&late, minute(400)).await.unwrap();
        let mut expected = AverageLateness::default();
        runs.iter().filter(|run| data.matches(&late, run)).for_each(|run| expected.add(&run.into(), minute(400)));
        assert_eq!(format!("{lateness:?}"), format!("{expected:?}"));
        (naive as u64, cost)
    };
    let in_group = runs.iter().filter(|run| run.work_pool_id == Some(data.pools[0].id)).count() as u64;
    let (in_both, cost) = Box::pin(counted(&runs)).await;
    assert!(in_both < in_group);
    let most = 2 * (in_group + data.pending()) + 10;
    assert!(cost.items_read <= most, "the group is read once, by its keys, and nothing else: {cost:?}");
    let mut items = Vec::new();
    for number in 0..4_000 {
        let mut run = FlowRun::new(FlowRunId(uuid(9, number)), data.flows[0].id, format!("run {number}"), minute(0));
        run.expected_start_time = Some(minute(1));
        (run.work_queue_id, run.work_pool_id) = (Some(data.queues[0].id), data.queues[0].work_pool_id);
        items.push(Item::of(&run, 1, data.store.shards()).unwrap());
        runs.push(run);
    }
    data.store.insert_missing(items).await.unwrap();
    let (_, cost) = Box::pin(counted(&runs)).await;
    assert!(cost.items_read < 4_000, "the group is not read to its end: {cost:?}");
}

#[tokio::test]
async fn tallies_answer_what_the_page_asks() {
    for data in [Data::tallied(1, 7).await, Data::counted(1, 7).await] {
        Box::pin(tallies_answer(&data)).await;
    }
}

async fn tallies_answer(data: &Data) {
    let (window, pool) = (json!({"after_": minute(5), "before_": minute(185)}), json!({"name": {"any_": ["pool 0"]}}));
    let ended = json!({"type": {"any_": ["COMPLETED", "FAILED", "CRASHED"]}});
    let own = |state: &Value| json!({"flow_runs": {"operator": "and_", "expected_start_time": window, "state": state}});
    let mut of_pool = own(&json!({"name": {"any_": ["Late"]}}));
    of_pool["work_pools"] = pool.clone();
    let mut of_flow = own(&ended);
    of_flow["flows"] = json!({"operator": "and_", "id": {"any_": [data.flows[0].id]}});
    let of_deployment = json!({"flow_runs": {"name": {}, "state": ended},
        "deployments": {"id": {"any_": [data.deployments[0].id]}}});
    let bodies = [json!({}), own(&ended), of_pool, of_flow, of_deployment, json!({ "work_pools": pool })];
    for body in bodies {
        let filters: RunFilters = from(body.clone());
        let counted = Box::pin(cost::measured(data.store.count_flow_runs(&filters))).await;
        let averaged = Box::pin(cost::measured(data.store.flow_run_lateness(&filters, minute(250)))).await;
        let naive = data.runs.iter().filter(|run| data.matches(&filters, run)).count() as u64;
        assert!(naive > 0, "{body}");
        assert_eq!(counted.0.unwrap(), naive, "{body}");
        assert!(averaged.0.unwrap().seconds().is_some());
        for cost in [counted.1, averaged.1] {
            // The runs of the last instant are looked at, for a window has no end within a minute.
            let read: Vec<&str> = cost.plan.keys().copied().filter(|index| *index != "by_time").collect();
            assert_eq!(read, ["tallies"], "{body}");
            assert!(cost.plan.get("by_time").is_none_or(|read| read.items <= 2), "{cost:?}");
        }
    }
}
