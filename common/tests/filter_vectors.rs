//! Compares every filter and sort with what the oracle answered, and the hints of filters with their matches.
//!
//! `tests/filters/record.py` records the answers, and the records that they are about, from the real server.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    cmp::Ordering,
    collections::{HashMap, HashSet},
    fs,
    sync::LazyLock,
};

use common::{
    filter::{
        DeploymentFacts, DeploymentFilter, DeploymentSort, EventFilter, FlowFacts, FlowFilter, FlowRunFacts,
        FlowRunFilter, FlowRunInputFilter, FlowRunSort, FlowSort, LogFilter, LogSort, TaskRunFacts, TaskRunFilter,
        TaskRunSort, TimeBounds, WorkPoolFilter, WorkQueueFilter, flow_run::started_or_expected,
    },
    model::{
        Deployment, Flow, FlowId, FlowRun, FlowRunId, FlowRunInput, Log, ReceivedEvent, TaskRun, TaskRunId, Timestamp,
        WorkPool, WorkQueue,
    },
};
use proptest::{prelude::*, sample::Index};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};

const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/filters/vectors.json");

static PARTS: LazyLock<Map<String, Value>> =
    LazyLock::new(|| serde_json::from_str(&fs::read_to_string(VECTORS).unwrap()).unwrap());

static FLOW_RUNS: LazyLock<Vectors<FlowRun>> = LazyLock::new(|| vectors("flow_runs"));
static TASK_RUNS: LazyLock<Vectors<TaskRun>> = LazyLock::new(|| vectors("task_runs"));
static LOGS: LazyLock<Vectors<Log>> = LazyLock::new(|| vectors("logs"));
static EVENTS: LazyLock<Vectors<ReceivedEvent>> = LazyLock::new(|| vectors("events"));

/// The records of one entity, and what the oracle made of them, by their positions.
#[derive(Deserialize)]
#[serde(bound = "T: DeserializeOwned")]
struct Vectors<T> {
    records: Vec<T>,
    filters: Vec<(Value, Vec<usize>)>,
    sorts: Vec<(Value, Vec<usize>)>,
}

/// Returns the first term of a partial match in a filter.
fn term(filter: &Value) -> Option<&str> {
    let fields = filter.as_object()?;
    fields.iter().find_map(|(key, value)| match key.as_str() {
        "like_" | "prefix" => value.as_str(),
        "startswith_" => value.get(0)?.as_str(),
        _ => term(value),
    })
}

fn vectors<T: DeserializeOwned>(entity: &str) -> Vectors<T> {
    serde_json::from_value(PARTS[entity].clone()).unwrap()
}

impl<T> Vectors<T> {
    /// Asserts that every filter selects the records that the oracle selected, whatever their order.
    fn check_filters<F: DeserializeOwned>(&self, matches: impl Fn(&F, &T) -> bool) {
        let mut wrong = Vec::new();
        for (document, selected) in &self.filters {
            let filter: F = serde_json::from_value(document.clone()).unwrap();
            let records = self.records.iter().enumerate();
            let found: HashSet<usize> =
                records.filter(|(_, record)| matches(&filter, record)).map(|(n, _)| n).collect();
            let expected: HashSet<usize> = selected.iter().copied().collect();
            // A term is taken literally and in any case, where the oracle's SQLite takes `%` and `_` for wildcards and knows
            // the cases of ASCII alone.
            let term = term(document).unwrap_or_default();
            let (has_wildcard, has_letter_beyond_ascii) = (term.contains(['%', '_']), !term.is_ascii());
            let finds_fewer = has_wildcard && found.is_subset(&expected);
            let finds_more = has_letter_beyond_ascii && found.is_superset(&expected);
            if finds_fewer || finds_more {
                continue;
            }
            let mut differing: Vec<_> = found.symmetric_difference(&expected).collect();
            differing.sort();
            if !differing.is_empty() {
                wrong.push(format!("{document} differs on {differing:?}"));
            }
        }
        assert!(wrong.is_empty(), "{} of {} filters:\n{}", wrong.len(), self.filters.len(), wrong.join("\n"));
        assert!(self.filters.len() >= 20, "too few filters were recorded to prove anything");
    }

    /// Asserts that every sort puts the records in the oracle's order; no two of one sort have equal keys.
    fn check_sorts<S: DeserializeOwned + Copy>(&self, compare: impl Fn(S, &T, &T) -> Ordering) {
        assert!(!self.sorts.is_empty());
        for (document, expected) in &self.sorts {
            let sort: S = serde_json::from_value(document.clone()).unwrap();
            let mut sorted = expected.clone();
            sorted.sort_unstable();
            sorted.sort_by(|a, b| compare(sort, &self.records[*a], &self.records[*b]));
            assert_eq!(&sorted, expected, "{document}");
            assert!(expected.len() >= 5, "{document} was recorded with too few records to prove anything");
        }
    }

    /// Takes one record, and a filter with the fields of two recorded ones and any operator.
    fn case<F: DeserializeOwned>(&self, record: Index, filters: [Index; 2], operator: Option<&str>) -> (F, &T) {
        let mut merged = Map::new();
        for index in filters {
            let (document, _) = &self.filters[index.index(self.filters.len())];
            merged.extend(document.as_object().unwrap().clone());
        }
        if let Some(operator) = operator {
            merged.insert("operator".to_owned(), operator.into());
        }
        (serde_json::from_value(merged.into()).unwrap(), &self.records[record.index(self.records.len())])
    }
}

#[test]
fn flows() {
    let deployments: Vectors<Deployment> = vectors("deployments");
    let deployed: HashSet<FlowId> = deployments.records.iter().map(|deployment| deployment.flow_id).collect();
    let vectors: Vectors<Flow> = vectors("flows");
    vectors.check_filters(|filter: &FlowFilter, flow| {
        filter.matches(flow, FlowFacts { has_deployment: filter.needs_deployments() && deployed.contains(&flow.id) })
    });
    vectors.check_sorts(|sort: FlowSort, a, b| sort.compare(a, b));
}

/// Returns what the filter says it needs to know about the run, and nothing else.
fn flow_run_facts(filter: &FlowRunFilter, run: &FlowRun) -> FlowRunFacts {
    static FLOW_RUN_OF: LazyLock<HashMap<TaskRunId, Option<FlowRunId>>> =
        LazyLock::new(|| TASK_RUNS.records.iter().map(|run| (run.id, run.flow_run_id)).collect());
    let parent = run.parent_task_run_id.filter(|_| filter.needs_parent_flow_run());
    FlowRunFacts { parent_flow_run_id: parent.and_then(|id| FLOW_RUN_OF.get(&id).copied().flatten()) }
}

#[test]
fn flow_runs() {
    FLOW_RUNS.check_filters(|filter: &FlowRunFilter, run| filter.matches(run, flow_run_facts(filter, run)));
    FLOW_RUNS.check_sorts(FlowRunSort::compare);
}

/// Returns what the filter says it needs to know about the run, and nothing else.
fn task_run_facts(filter: &TaskRunFilter, run: &TaskRun) -> TaskRunFacts {
    static PARENTS: LazyLock<HashSet<TaskRunId>> =
        LazyLock::new(|| FLOW_RUNS.records.iter().filter_map(|run| run.parent_task_run_id).collect());
    TaskRunFacts { has_subflow_run: filter.needs_subflow_runs() && PARENTS.contains(&run.id) }
}

#[test]
fn task_runs() {
    TASK_RUNS.check_filters(|filter: &TaskRunFilter, run| filter.matches(run, task_run_facts(filter, run)));
    TASK_RUNS.check_sorts(|sort: TaskRunSort, a, b| sort.compare(a, b, Timestamp::now()));
}

#[test]
fn deployments() {
    let flows: Vectors<Flow> = vectors("flows");
    let name_of: HashMap<FlowId, String> = flows.records.into_iter().map(|flow| (flow.id, flow.name)).collect();
    let vectors: Vectors<Deployment> = vectors("deployments");
    vectors.check_filters(|filter: &DeploymentFilter, deployment| {
        let flow_name = if filter.needs_flow_name() { name_of[&deployment.flow_id].as_str() } else { "" };
        filter.matches(deployment, DeploymentFacts { flow_name })
    });
    vectors.check_sorts(|sort: DeploymentSort, a, b| sort.compare(a, b));
}

#[test]
fn work_pools() {
    vectors::<WorkPool>("work_pools").check_filters(WorkPoolFilter::matches);
}

#[test]
fn work_queues() {
    vectors::<WorkQueue>("work_queues").check_filters(WorkQueueFilter::matches);
}

#[test]
fn logs() {
    LOGS.check_filters(LogFilter::matches);
    LOGS.check_sorts(LogSort::compare);
}

#[test]
fn flow_run_inputs() {
    vectors::<FlowRunInput>("flow_run_inputs").check_filters(FlowRunInputFilter::matches);
}

/// Events are compared with their order too, since it is part of their filter, as distinct resources are.
#[test]
fn events() {
    let position: HashMap<_, _> = EVENTS.records.iter().enumerate().map(|(n, event)| (event.id, n)).collect();
    let mut wrong = Vec::new();
    for (document, expected) in &EVENTS.filters {
        let filter: EventFilter = serde_json::from_value(document.clone()).unwrap();
        let mut found: Vec<_> = EVENTS.records.iter().filter(|event| filter.matches(event)).cloned().collect();
        found.sort_by(|a, b| filter.order.compare(a, b));
        filter.retain_distinct(&mut found);
        let found: Vec<usize> = found.iter().map(|event| position[&event.id]).collect();
        if found != *expected {
            wrong.push(format!("{document}\n  selects {found:?}\n  not     {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {} filters:\n{}", wrong.len(), EVENTS.filters.len(), wrong.join("\n"));
    assert!(EVENTS.filters.len() >= 200);
}

fn allows<T: PartialEq>(bound: Option<&[T]>, value: Option<&T>) -> bool {
    bound.is_none_or(|list| value.is_some_and(|value| list.contains(value)))
}

fn admits(bounds: Option<TimeBounds>, time: Option<Timestamp>) -> bool {
    bounds.is_none_or(|bounds| time.is_some_and(|time| bounds.contains(time)))
}

fn operator() -> impl Strategy<Value = Option<&'static str>> {
    prop_oneof![Just(None), Just(Some("and_")), Just(Some("or_"))]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5000, ..ProptestConfig::default() })]

    #[test]
    fn hints_bound_the_matching_flow_runs(record: Index, filters: [Index; 2], operator in operator()) {
        let (filter, run): (FlowRunFilter, _) = FLOW_RUNS.case(record, filters, operator);
        if filter.matches(run, flow_run_facts(&filter, run)) {
            let mut asking = filter.clone();
            asking.parent_flow_run_id.get_or_insert_default().any.get_or_insert_default();
            let parent = flow_run_facts(&asking, run).parent_flow_run_id;
            prop_assert!(allows(filter.ids(), Some(&run.id)));
            prop_assert!(allows(filter.names(), Some(&run.name)));
            prop_assert!(allows(filter.deployment_ids(), run.deployment_id.as_ref()));
            prop_assert!(allows(filter.work_queue_names(), run.work_queue_name.as_ref()));
            prop_assert!(allows(filter.state_types(), run.state_type.as_ref()));
            prop_assert!(allows(filter.state_names(), run.state_name.as_ref()));
            prop_assert!(allows(filter.parent_flow_run_ids(), parent.as_ref()));
            prop_assert!(allows(filter.parent_task_run_ids(), run.parent_task_run_id.as_ref()));
            prop_assert!(allows(filter.idempotency_keys(), run.idempotency_key.as_ref()));
            prop_assert!(admits(filter.start_time_bounds(), started_or_expected(run)));
            prop_assert!(admits(filter.end_time_bounds(), run.end_time));
            prop_assert!(admits(filter.expected_start_time_bounds(), run.expected_start_time));
            prop_assert!(admits(filter.next_scheduled_start_time_bounds(), run.next_scheduled_start_time));
        }
    }

    #[test]
    fn hints_bound_the_matching_task_runs(record: Index, filters: [Index; 2], operator in operator()) {
        let (filter, run): (TaskRunFilter, _) = TASK_RUNS.case(record, filters, operator);
        if filter.matches(run, task_run_facts(&filter, run)) {
            prop_assert!(allows(filter.ids(), Some(&run.id)));
            prop_assert!(allows(filter.names(), Some(&run.name)));
            prop_assert!(allows(filter.flow_run_ids(), run.flow_run_id.as_ref()));
            prop_assert!(allows(filter.state_types(), run.state_type.as_ref()));
            prop_assert!(allows(filter.state_names(), run.state_name.as_ref()));
            prop_assert!(admits(filter.start_time_bounds(), run.start_time));
            prop_assert!(admits(filter.end_time_bounds(), run.end_time));
            prop_assert!(admits(filter.expected_start_time_bounds(), run.expected_start_time));
        }
    }

    #[test]
    fn hints_bound_the_matching_logs(record: Index, filters: [Index; 2], operator in operator()) {
        let (filter, log): (LogFilter, _) = LOGS.case(record, filters, operator);
        if filter.matches(log) {
            prop_assert!(allows(filter.flow_run_ids(), log.flow_run_id.as_ref()));
            prop_assert!(allows(filter.task_run_ids(), log.task_run_id.as_ref()));
            prop_assert!(admits(filter.timestamp_bounds(), Some(log.timestamp)));
        }
    }

    #[test]
    fn hints_bound_the_matching_events(record: Index, filters: [Index; 2]) {
        let (filter, event): (EventFilter, _) = EVENTS.case(record, filters, None);
        if filter.matches(event) {
            let resource = event.resource.id().to_owned();
            let related = event.related.iter().map(|related| related.resource().id().to_owned());
            let mut involved = related.chain([resource.clone()]);
            prop_assert!(allows(filter.ids(), Some(&event.id)));
            prop_assert!(allows(filter.names(), Some(&event.event)));
            prop_assert!(allows(filter.resource_ids(), Some(&resource)));
            prop_assert!(filter.involved_resource_ids().is_none_or(|ids| involved.any(|id| ids.contains(&id))));
            prop_assert!(admits(filter.occurred_bounds(), Some(event.occurred)));
        }
    }
}
