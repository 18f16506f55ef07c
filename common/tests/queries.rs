//! Ordered reads over shards, pages and a lagging world, against the embedded database.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use common::{
    Store,
    filter::{FlowRunFacts, FlowRunFilter, FlowRunSort, RunFilters},
    history::History,
    lateness::AverageLateness,
    model::{DeploymentId, Flow, FlowId, FlowRun, FlowRunId, RunSummary, State, StateId, StateType, Timestamp},
    store::{CommitError, Item, Shards, Write, commit::retry_on_conflict, cost, select::Window},
};
use embedded::{
    EmbeddedDatabase,
    faults::{Fault, Faults},
};
use proptest::prelude::*;
use serde_json::{Value, json};

async fn store(shards: u8, faults: &Faults) -> Store {
    let database = EmbeddedDatabase::in_memory().unwrap();
    let config = EmbeddedDatabase::config_with(faults.before(database.http_client()));
    let store = Store::new(aws_sdk_dynamodb::Client::from_conf(config), "proctor-records", Shards(shards));
    store.create_table().await.unwrap();
    store
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

fn filters(body: Value) -> RunFilters {
    serde_json::from_value(body).unwrap()
}

/// A run whose times derive from two small numbers, so that ties and nulls occur.
fn run(flow: FlowId, name: u8, expected: Option<u8>, started: Option<u8>) -> FlowRun {
    let id = FlowRunId(uuid::Uuid::new_v4());
    let mut run = FlowRun::new(id, flow, format!("run {name}"), Timestamp::now());
    run.expected_start_time = expected.map(minute);
    run.start_time = started.map(minute);
    run.tags = vec![format!("tag {}", name % 3)];
    run
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// The planner's page equals the same page of all runs, filtered and sorted one by one.
    #[test]
    fn pages_are_those_of_a_naive_query(
        runs in prop::collection::vec((any::<u8>(), prop::option::of(any::<u8>()), prop::option::of(any::<u8>())), 0..60),
        shards in 1u8..5,
        offset in 0usize..20,
        limit in 0usize..30,
        tag in prop::option::of(0u8..4),
    ) {
        block_on(async {
            let store = store(shards, &Faults::default()).await;
            let flow = FlowId::new();
            let runs: Vec<FlowRun> = runs.into_iter().map(|(name, expected, started)| run(flow, name, expected, started)).collect();
            for run in &runs {
                store.commit(vec![store.insert(run).unwrap()]).await.unwrap();
            }
            let tag = tag.map(|tag| format!("tag {tag}"));
            let filters = match &tag {
                Some(tag) => filters(json!({"flow_runs": {"tags": {"all_": [tag]}}})),
                None => filters(json!({})),
            };
            let matching: Vec<FlowRun> =
                runs.into_iter().filter(|run| tag.as_ref().is_none_or(|tag| run.tags.contains(tag))).collect();
            for sort in FlowRunSort::ALL {
                let mut naive = matching.clone();
                naive.sort_by(|a, b| sort.compare(a, b));
                let naive: Vec<FlowRun> = naive.into_iter().skip(offset).take(limit).collect();
                let page = store.flow_runs(&filters, sort, Window { offset, limit }).await.unwrap();
                assert_eq!(page, naive, "{sort:?}");
            }
            assert_eq!(store.count_flow_runs(&filters).await.unwrap(), matching.len() as u64);
        });
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// A history, and an average lateness, are those of all runs that match, looked at one by one.
    #[test]
    fn sums_are_those_of_a_naive_query(
        runs in prop::collection::vec((any::<u8>(), prop::option::of(any::<u8>()), prop::option::of(any::<u8>())), 0..60),
        shards in 1u8..5,
        start in 0u8..100,
        limits in (any::<u8>(), any::<u8>()),
    ) {
        block_on(async {
            let store = store(shards, &Faults::default()).await;
            let flows = [FlowId::new(), FlowId::new()];
            let runs: Vec<FlowRun> = runs
                .into_iter()
                .map(|(name, expected, started)| in_a_state(run(flows[usize::from(name) % 2], name, expected, started)))
                .collect();
            for run in &runs {
                store.commit(vec![store.insert(run).unwrap()]).await.unwrap();
            }
            let expected = json!({"after_": minute(limits.0), "before_": minute(limits.1)});
            let state = json!({"type": {"any_": ["RUNNING", "FAILED"]}});
            let own = [
                json!({}),
                json!({"state": state}),
                json!({"expected_start_time": expected}),
                json!({"expected_start_time": {"before_": minute(limits.1)}}),
                json!({"expected_start_time": expected, "state": state}),
                json!({"expected_start_time": expected, "state": state, "operator": "or_"}),
                json!({"expected_start_time": expected, "tags": {"all_": ["tag 1"]}}),
                json!({"start_time": expected}),
                json!({"end_time": expected}),
                json!({"end_time": {"is_null_": true}}),
                json!({"id": {"any_": runs.iter().take(5).map(|run| run.id).collect::<Vec<_>>()}}),
            ];
            for filter in &own {
                for flow in [None, Some(flows[0])] {
                    check_sums(&store, &runs, filter, flow, start).await;
                }
            }
        });
    }
}

fn minute(minutes: u8) -> Timestamp {
    Timestamp::from_micros(i64::from(minutes) * 60_000_000 + 1_000_000_000_000_000).unwrap()
}

fn in_a_state(mut run: FlowRun) -> FlowRun {
    let number = run.id.0.as_u128();
    let types = [StateType::Running, StateType::Failed, StateType::Scheduled];
    let r#type = types[usize::try_from(number % 3).unwrap()];
    let entered = minute(u8::try_from(number >> 64 & 0xff).unwrap());
    let state = State::new(StateId::new(), r#type, entered).named(if number & 8 == 0 { "Own | name" } else { "Other" });
    (run.state_type, run.state_name) = (Some(r#type), Some(state.name.clone()));
    run.end_time = (r#type == StateType::Failed).then_some(entered);
    run.state = Some(state);
    run
}

async fn check_sums(store: &Store, runs: &[FlowRun], filter: &Value, flow: Option<FlowId>, start: u8) {
    let mut body = json!({"flow_runs": filter});
    if let Some(flow) = flow {
        body["flows"] = json!({"id": {"any_": [flow]}});
    }
    let own: FlowRunFilter = serde_json::from_value(filter.clone()).unwrap();
    let matching = || {
        let of_flow = runs.iter().filter(move |run| flow.is_none_or(|flow| run.flow_id == flow));
        of_flow.filter(|run| own.matches(run, FlowRunFacts::default()))
    };
    if let Some(flow) = flow {
        // The flow has to be there for its runs to match.
        let _ = store.add_flow(Flow::new(flow, "flow", Timestamp::now())).await.unwrap();
    }
    let now = minute(255).plus_seconds(0.5);
    let empty = || History::new(minute(start), minute(200), 1_000.25).unwrap();
    let (mut history, mut naive) = (empty(), empty());
    store.flow_run_history(&filters(body.clone()), &mut history, now).await.unwrap();
    matching().for_each(|run| naive.add(&RunSummary::from(run), now));
    assert_eq!(history.into_intervals(), naive.into_intervals(), "{body}");
    let lateness = store.flow_run_lateness(&filters(body.clone()), now).await.unwrap();
    let mut naive = AverageLateness::default();
    matching().for_each(|run| naive.add(&RunSummary::from(run), now));
    assert_eq!(lateness.seconds(), naive.seconds(), "{body}");
}

#[test]
fn a_page_costs_what_it_answers_and_not_what_there_is() {
    block_on(async {
        let store = store(4, &Faults::default()).await;
        let flow = FlowId::new();
        for number in 0..=255 {
            store.commit(vec![store.insert(&run(flow, number, Some(number), None)).unwrap()]).await.unwrap();
        }
        let window = Window { offset: 0, limit: 100 };
        let everything = RunFilters::default();
        let query = store.flow_runs(&everything, FlowRunSort::StartTimeDesc, window);
        let (page, cost) = cost::measured(query).await;
        assert_eq!(page.unwrap().len(), 100);
        assert!(cost.items_read <= 150, "{cost:?}");
    });
}

#[test]
fn counts_by_state_look_at_the_state_and_at_nothing_that_reads_like_one() {
    block_on(async {
        let store = store(3, &Faults::default()).await;
        let flow = FlowId::new();
        let misleading = r#"","state_type":"FAILED","state_name":"Failed""#;
        let states = [Some((StateType::Failed, misleading)), Some((StateType::Running, "Running")), None];
        for number in 0..30 {
            let mut run = run(flow, number, Some(number), None);
            run.name = format!("{misleading}{number}");
            (run.state_type, run.state_name) =
                states[usize::from(number) % 3].map(|(kind, name)| (kind, name.to_owned())).unzip();
            store.commit(vec![store.insert(&run).unwrap()]).await.unwrap();
        }
        let count =
            async |state: Value| store.count_flow_runs(&filters(json!({"flow_runs": {"state": state}}))).await.unwrap();
        assert_eq!(store.count_flow_runs(&RunFilters::default()).await.unwrap(), 30);
        assert_eq!(count(json!({"type": {"any_": ["FAILED"]}})).await, 10);
        assert_eq!(count(json!({"type": {"any_": ["FAILED", "RUNNING", "PENDING"]}})).await, 20);
        assert_eq!(count(json!({"type": {"any_": []}})).await, 0);
        assert_eq!(count(json!({"type": {"not_any_": ["FAILED"]}})).await, 10);
        assert_eq!(count(json!({"name": {"any_": ["Failed"]}})).await, 0);
        assert_eq!(count(json!({"name": {"any_": [misleading]}})).await, 10);
        let both = json!({"type": {"any_": ["FAILED"]}, "name": {"any_": ["Running"]}});
        assert_eq!(count(both.clone()).await, 0);
        let mut either = both;
        either["operator"] = json!("or_");
        assert_eq!(count(either).await, 20);
    });
}

#[test]
fn a_write_whose_answer_was_lost_is_not_done_twice() {
    block_on(async {
        let faults = Faults::on("TransactWriteItems");
        let store = store(1, &faults).await;
        faults.then(Fault::AnswerLost);
        let (flow, _) = store.add_flow(Flow::new(FlowId::new(), "once", Timestamp::now())).await.unwrap();
        assert_eq!(faults.left(), 0);
        assert_eq!(store.flow_by_name("once").await.unwrap().unwrap().record.id, flow.id);
    });
}

#[test]
fn a_throttled_store_is_unavailable_and_nothing_is_written() {
    block_on(async {
        let faults = Faults::on("PutItem");
        let store = store(1, &faults).await;
        for _ in 0..10 {
            faults.then(Fault::Throttled);
        }
        let run = run(FlowId::new(), 1, None, None);
        let refused = store.commit(vec![store.insert(&run).unwrap()]).await.unwrap_err();
        assert!(matches!(refused, CommitError::Failed(common::Error::Unavailable(_))), "{refused:?}");
        assert!(store.flow_run(run.id).await.unwrap().is_none());
    });
}

#[test]
fn updates_at_once_are_all_kept() {
    block_on(async {
        let store = store(1, &Faults::default()).await;
        let run = run(FlowId::new(), 1, None, None);
        store.commit(vec![store.insert(&run).unwrap()]).await.unwrap();
        let updates = (0..8).map(|number| {
            let (store, id) = (store.clone(), run.id);
            async move {
                retry_on_conflict(|| async {
                    let mut found = store.flow_run(id).await?.unwrap();
                    found.record.labels.insert(number.to_string(), number.into());
                    store.commit(vec![store.replace(&found.record, found.version)?]).await
                })
                .await
            }
        });
        for outcome in futures::future::join_all(updates).await {
            outcome.unwrap();
        }
        assert_eq!(store.flow_run(run.id).await.unwrap().unwrap().record.labels.len(), 8);
    });
}

/// As where an index that lags still has a run as it waited, and another one has it as it runs.
#[test]
fn a_run_that_several_indexes_tell_of_is_on_a_page_once() {
    block_on(async {
        let store = store(2, &Faults::default()).await;
        let (flow, deployment) = (FlowId::new(), DeploymentId::new());
        let mut runs = Vec::new();
        for number in 0..20 {
            let mut waiting = run(flow, number, Some(number), None);
            waiting.deployment_id = Some(deployment);
            waiting.state_type = Some(StateType::Scheduled);
            waiting.next_scheduled_start_time = waiting.expected_start_time;
            let mut running = waiting.clone();
            (running.state_type, running.next_scheduled_start_time) = (Some(StateType::Running), None);
            running.start_time = Some(minute(100 + number));
            let [stale, mut item] = [&waiting, &running].map(|run| Item::of(run, 1, store.shards()).unwrap());
            item.index_keys.extend(stale.index_keys);
            store.commit(vec![Write::Insert(item)]).await.unwrap();
            runs.push(running);
        }
        for body in [json!({}), json!({"flow_runs": {"deployment_id": {"any_": [deployment]}}})] {
            for sort in [FlowRunSort::StartTimeAsc, FlowRunSort::StartTimeDesc] {
                let page =
                    store.flow_runs(&filters(body.clone()), sort, Window { offset: 0, limit: 100 }).await.unwrap();
                let distinct: std::collections::HashSet<_> = page.iter().map(|run| run.id).collect();
                assert_eq!((page.len(), distinct.len()), (runs.len(), runs.len()), "{sort:?} {body}");
            }
        }
    });
}
