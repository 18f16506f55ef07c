//! Writes logs to the embedded database and reads them back.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use aws_sdk_dynamodb::Client;
use common::{
    Store,
    filter::{LogFilter, LogSort},
    model::{FlowRunId, Log, LogCreate, TaskRunId, Timestamp},
    store::{Shards, select::Window},
};
use embedded::{
    EmbeddedDatabase,
    faults::{Fault, Faults},
};
use proptest::prelude::*;
use serde_json::json;
use uuid::Uuid;

const ALL: Window = Window { offset: 0, limit: usize::MAX };
const SORTS: [LogSort; 2] = [LogSort::TimestampAsc, LogSort::TimestampDesc];

async fn store_on(config: aws_sdk_dynamodb::Config) -> Store {
    let store = Store::new(Client::from_conf(config), "proctor-records", Shards(3));
    store.create_table().await.unwrap();
    store
}

async fn new_store() -> Store {
    store_on(EmbeddedDatabase::in_memory().unwrap().sdk_config()).await
}

fn line(flow_run: FlowRunId, second: i64, message: &str) -> LogCreate {
    LogCreate {
        name: "prefect".into(),
        level: 20,
        message: message.into(),
        timestamp: Timestamp::from_micros((1_700_000_000 + second) * 1_000_000).unwrap(),
        flow_run_id: Some(flow_run),
        task_run_id: None,
    }
}

fn filter(document: serde_json::Value) -> LogFilter {
    serde_json::from_value(document).unwrap()
}

async fn messages(store: &Store, document: serde_json::Value) -> Vec<String> {
    let logs = store.logs(&filter(document), LogSort::TimestampAsc, ALL).await.unwrap();
    logs.into_iter().map(|log| log.message).collect()
}

#[tokio::test]
async fn a_repeated_request_changes_nothing() {
    let (store, run) = (new_store().await, FlowRunId::new());
    let logs: Vec<_> = (0..30).map(|second| line(run, second, "again")).collect();
    store.add_logs(logs.clone(), Timestamp::now()).await.unwrap();
    let first = store.logs(&LogFilter::default(), LogSort::TimestampAsc, ALL).await.unwrap();
    store.add_logs(logs, Timestamp::now()).await.unwrap();
    assert_eq!(store.logs(&LogFilter::default(), LogSort::TimestampAsc, ALL).await.unwrap(), first);
    assert_eq!(first.len(), 30);
}

#[tokio::test]
async fn a_lost_answer_doubles_nothing() {
    let database = EmbeddedDatabase::in_memory().unwrap();
    let faults = Faults::on("PutItem");
    let config = EmbeddedDatabase::config_with(faults.before(database.http_client()));
    let (store, run) = (store_on(config).await, FlowRunId::new());
    faults.then(Fault::AnswerLost).then(Fault::Throttled);
    let logs: Vec<_> = (0..30).map(|second| line(run, second, "once")).collect();
    while store.add_logs(logs.clone(), Timestamp::now()).await.is_err() {}
    assert_eq!(faults.left(), 0);
    assert_eq!(messages(&store, json!({})).await.len(), 30);
}

#[tokio::test]
async fn lines_of_one_instant_come_as_they_were_received() {
    let (store, run, now) = (new_store().await, FlowRunId::new(), Timestamp::now());
    let task = Some(TaskRunId::new());
    let mut logs: Vec<_> = (0..20).map(|n| line(run, 0, &format!("{n:02}"))).collect();
    logs.iter_mut().step_by(3).for_each(|log| log.task_run_id = task);
    let later = logs.split_off(12);
    store.add_logs(later, now.plus_seconds(1.0)).await.unwrap();
    store.add_logs(logs, now).await.unwrap();
    let expected: Vec<String> = (0..20).map(|n| format!("{n:02}")).collect();
    assert_eq!(messages(&store, json!({})).await, expected);
}

#[tokio::test]
async fn reads_the_logs_of_a_run_through_each_of_its_ways() {
    let store = new_store().await;
    let (run, other, task) = (FlowRunId::new(), FlowRunId::new(), TaskRunId::new());
    let logs = vec![
        line(run, 1, "run"),
        LogCreate { task_run_id: Some(task), ..line(run, 2, "task of run") },
        LogCreate { flow_run_id: None, task_run_id: Some(task), ..line(run, 3, "task alone") },
        LogCreate { level: 40, ..line(other, 14, "other") },
        LogCreate { flow_run_id: None, ..line(run, 25, "neither") },
    ];
    store.add_logs(logs, Timestamp::now()).await.unwrap();
    let table = [
        (json!({}), vec!["run", "task of run", "task alone", "other", "neither"]),
        (json!({"flow_run_id": {"any_": [run]}}), vec!["run", "task of run"]),
        (json!({"flow_run_id": {"any_": [run, other, run]}}), vec!["run", "task of run", "other"]),
        (json!({"flow_run_id": {"any_": []}}), vec![]),
        (json!({"task_run_id": {"any_": [task, task]}}), vec!["task of run", "task alone"]),
        (json!({"task_run_id": {"any_": [task]}, "flow_run_id": {"any_": [run]}}), vec!["task of run"]),
        (json!({"task_run_id": {"is_null_": true}}), vec!["run", "other", "neither"]),
        (json!({"level": {"ge_": 30}}), vec!["other"]),
        (json!({"timestamp": {"after_": "2023-11-14T22:13:23Z"}}), vec!["task alone", "other", "neither"]),
        (json!({"timestamp": {"before_": "2023-11-14T22:13:23Z"}}), vec!["run", "task of run", "task alone"]),
        (json!({"timestamp": {"after_": "2023-11-14T22:14:00Z", "before_": "2023-11-14T22:13:00Z"}}), vec![]),
        (
            json!({"operator": "or_", "flow_run_id": {"any_": [other]}, "text": {"query": "neither"}}),
            vec!["other", "neither"],
        ),
    ];
    for (document, expected) in table {
        assert_eq!(messages(&store, document.clone()).await, expected, "{document}");
    }
}

#[tokio::test]
async fn deletes_the_logs_of_a_run_and_no_others() {
    let store = new_store().await;
    let (run, other, task) = (FlowRunId::new(), FlowRunId::new(), TaskRunId::new());
    let mut logs: Vec<_> = (0..300).map(|n| line(run, 10 * n, "run")).collect();
    logs.extend((0..3).map(|n| LogCreate { task_run_id: Some(task), ..line(other, n, "task") }));
    logs.push(line(other, 0, "other"));
    store.add_logs(logs, Timestamp::now()).await.unwrap();
    store.delete_logs_of(run).await.unwrap();
    assert_eq!(messages(&store, json!({})).await, ["task", "other", "task", "task"]);
    store.delete_logs_of_task_run(task).await.unwrap();
    assert_eq!(messages(&store, json!({})).await, ["other"]);
    store.delete_logs_of(run).await.unwrap();
}

#[tokio::test]
async fn stretches_put_together_are_all_logs_of_the_run() {
    let (store, run) = (new_store().await, FlowRunId::new());
    let logs: Vec<_> = (0..3_500).map(|n| line(run, n, &n.to_string())).collect();
    store.add_logs(logs, Timestamp::now()).await.unwrap();
    let (mut read, mut from, mut stretches) = (Vec::new(), None, 0);
    loop {
        let stretch = store.flow_run_logs(run, from).await.unwrap();
        read.extend(stretch.logs.into_iter().map(|log| log.message));
        stretches += 1;
        from = stretch.next;
        if from.is_none() {
            break;
        }
    }
    assert!(stretches > 2, "{stretches}");
    assert_eq!(read, (0..3_500).map(|n| n.to_string()).collect::<Vec<_>>());
}

/// A line as proptest makes it: request, run, task run, tenth of a second, level.
type Sketch = (usize, u128, u128, i64, i64);

fn sketched((_, run, task, tenth, level): &Sketch, message: usize) -> LogCreate {
    LogCreate {
        name: "sketch".into(),
        level: *level,
        message: message.to_string(),
        timestamp: Timestamp::from_micros(1_700_000_000_000_000 + tenth * 100_000).unwrap(),
        flow_run_id: (*run > 0).then(|| FlowRunId(Uuid::from_u128(*run))),
        task_run_id: (*task > 0).then(|| TaskRunId(Uuid::from_u128(*task))),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever overlaps, a page is what a sort of all lines would cut out.
    #[test]
    fn pages_are_cut_out_of_the_sorted_lines(
        sketches in prop::collection::vec((0..4_usize, 0..3_u128, 0..3_u128, 0..400_i64, 10..40_i64), 0..80),
        offset in 0..20_usize,
        limit in 0..30_usize,
        chosen in 0..6_usize,
    ) {
        let runs = [1, 2].map(|id| FlowRunId(Uuid::from_u128(id)));
        let filter = filter([
            json!({}),
            json!({"flow_run_id": {"any_": runs}}),
            json!({"task_run_id": {"any_": [TaskRunId(Uuid::from_u128(1))]}}),
            json!({"level": {"ge_": 25}}),
            json!({"timestamp": {"after_": "2023-11-14T22:13:25Z", "before_": "2023-11-14T22:13:41.5Z"}}),
            json!({"flow_run_id": {"any_": [runs[0]]}, "level": {"le_": 20}}),
        ][chosen].clone());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let store = new_store().await;
            let mut naive: Vec<Log> = Vec::new();
            for request in 0..4 {
                let sent = sketches.iter().enumerate().filter(|(_, sketch)| sketch.0 == request);
                let logs: Vec<_> = sent.map(|(n, sketch)| sketched(sketch, n)).collect();
                let received = Timestamp::from_micros(1_800_000_000_000_000 + i64::try_from(request).unwrap()).unwrap();
                store.add_logs(logs, received).await.unwrap();
            }
            for (n, sketch) in sketches.iter().enumerate() {
                let LogCreate { name, level, message, timestamp, flow_run_id, task_run_id } = sketched(sketch, n);
                let created = Timestamp::from_micros(1_800_000_000_000_000 + i64::try_from(sketch.0).unwrap()).unwrap();
                let id = common::model::LogId(Uuid::from_u128(n as u128));
                naive.push(Log { id, created, updated: created, name, level, message, timestamp, flow_run_id, task_run_id });
            }
            for sort in SORTS {
                naive.sort_by(|a, b| sort.compare(a, b));
                let matching = naive.iter().filter(|log| filter.matches(log));
                let expected: Vec<&str> =
                    matching.skip(offset).take(limit).map(|log| log.message.as_str()).collect();
                let found = store.logs(&filter, sort, Window { offset, limit }).await.unwrap();
                let found: Vec<&str> = found.iter().map(|log| log.message.as_str()).collect();
                assert_eq!(found, expected);
            }
        });
    }
}
