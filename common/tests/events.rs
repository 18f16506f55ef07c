//! Events written to the embedded database and read back page by page.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{collections::HashSet, sync::LazyLock};

use aws_sdk_dynamodb::Client;
use common::{
    Error, Store,
    event_counts::{CountsByTime, CountsByValue, Interval, TimeUnit},
    filter::EventFilter,
    model::{FlowRunId, ReceivedEvent, Timestamp},
    store::{
        Shards,
        backend::LARGEST_RECORD,
        cost,
        event_query::{Counting, place},
    },
};
use embedded::EmbeddedDatabase;
use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

const RETENTION: u64 = 3_600;

async fn store(shards: u8) -> Store {
    let database = EmbeddedDatabase::in_memory().unwrap();
    let store = Store::new(Client::from_conf(database.sdk_config()), "proctor-records", Shards(shards));
    store.create_table().await.unwrap();
    store
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

fn time(seconds: u8) -> Timestamp {
    Timestamp::from_micros((1_790_000_000 + i64::from(seconds)) * 1_000_000).unwrap()
}

/// The flow runs that events are of.
static RUNS: LazyLock<[FlowRunId; 3]> = LazyLock::new(|| [FlowRunId::new(), FlowRunId::new(), FlowRunId::new()]);

fn resource(number: u8) -> String {
    match RUNS.get(usize::from(number)) {
        Some(run) => format!("prefect.flow-run.{run}"),
        None => format!("kettle.{number}"),
    }
}

/// Returns the id of an event, which is that of a state where it may tell of a transition.
fn id(seconds: u8, primary: u8) -> Uuid {
    let run = RUNS.get(usize::from(primary)).filter(|_| seconds.is_multiple_of(2));
    run.map_or_else(Uuid::new_v4, |run| run.state_id(u32::from(seconds) + 1).0)
}

fn event(seconds: u8, primary: u8, related: &[u8]) -> ReceivedEvent {
    let related: Vec<Value> = related
        .iter()
        .map(|number| json!({"prefect.resource.id": resource(*number), "prefect.resource.role": format!("role-{}", number % 2)}))
        .collect();
    serde_json::from_value(json!({
        "occurred": time(seconds),
        "event": format!("kettle.boiled.{}", primary % 2),
        "resource": {"prefect.resource.id": resource(primary)},
        "related": related,
        "payload": {"number": primary},
        "id": id(seconds, primary),
        "received": time(200),
    }))
    .unwrap()
}

fn filter(document: &Value) -> EventFilter {
    let mut filter: EventFilter = serde_json::from_value(document.clone()).unwrap();
    filter.resolve(time(250));
    filter
}

/// Filters for every plan, with and without something that only a predicate can tell.
fn filters() -> Vec<Value> {
    vec![
        json!({}),
        json!({"occurred": {"since": time(2), "until": time(5)}}),
        json!({"event": {"name": ["kettle.boiled.1"]}}),
        json!({"resource": {"id": [resource(0), resource(4)]}}),
        json!({"resource": {"id": [resource(0), resource(4)]}, "event": {"name": ["kettle.boiled.0"]}}),
        json!({"resource": {"distinct": true}}),
        json!({"resource": {"distinct": true, "id_prefix": ["kettle"]}}),
        json!({"related": {"id": [resource(1)]}}),
        json!({"related": {"id": [resource(1), resource(2)], "role": ["role-1"]}}),
        json!({"related": {"id": [resource(1)], "role": [""]}}),
        json!({"related": {"id": [resource(4)]}}),
        json!({"any_resource": {"id": [resource(1)]}}),
        json!({"any_resource": [{"id": [resource(1)]}, {"id": [resource(2)]}]}),
        json!({"text": {"query": "\"number\\\": 3\""}}),
        json!({"any_resource": {"id": [resource(0)]}, "text": {"query": "boiled.1"}}),
        json!({"occurred": {"since": time(5), "until": time(2)}}),
    ]
}

/// Reads all pages of a filter; returns them and the total that the first one told.
async fn pages(store: &Store, filter: &EventFilter, limit: usize) -> (Vec<ReceivedEvent>, u64) {
    let first = store.read_events(filter, None, limit, Counting::Ahead).await.unwrap();
    let (mut all, total, mut has_more) = (first.events, first.counted, first.has_more);
    while has_more {
        let after = all.last().map(place);
        let next = store.read_events(filter, after.as_deref(), limit, Counting::PageOnly).await.unwrap();
        assert!(!next.events.is_empty(), "a link led to an empty page");
        all.extend(next.events);
        has_more = next.has_more;
    }
    (all, total)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// The pages of every plan, put together, are what a naive query of all events finds.
    #[test]
    fn pages_are_those_of_a_naive_query(
        events in prop::collection::vec((0u8..8, 0u8..6, prop::collection::vec(0u8..6, 0..3)), 0..40),
        shards in 1u8..4,
        limit in 1usize..12,
    ) {
        block_on(async {
            let store = store(shards).await;
            let mut events: Vec<ReceivedEvent> =
                events.iter().map(|(seconds, primary, related)| event(*seconds, *primary, related)).collect();
            // Of one in 256 a run's states have the same.
            let mut ids = HashSet::new();
            events.retain(|event| ids.insert(event.id));
            store.add_events(&events, RETENTION).await.unwrap();
            for document in filters() {
                for order in ["ASC", "DESC"] {
                    let filter = EventFilter { order: serde_json::from_value(json!(order)).unwrap(), ..filter(&document) };
                    let mut naive: Vec<ReceivedEvent> =
                        events.iter().filter(|event| filter.matches(event)).cloned().collect();
                    naive.sort_by(|left, right| filter.order.compare(left, right));
                    filter.retain_distinct(&mut naive);
                    let (found, total) = pages(&store, &filter, limit).await;
                    assert_eq!(found, naive, "{document} {order}");
                    assert_eq!(total, naive.len() as u64, "{document}");
                }
            }
            let some: Vec<_> = events.iter().step_by(2).map(|event| event.id).collect();
            let by_id = filter(&json!({"id": {"id": some}}));
            let mut naive: Vec<ReceivedEvent> = events.iter().filter(|event| by_id.matches(event)).cloned().collect();
            naive.sort_by(|left, right| by_id.order.compare(left, right));
            assert_eq!(pages(&store, &by_id, limit).await.0, naive);
        });
    }
}

#[test]
fn an_event_that_comes_again_stays_as_it_was() {
    block_on(async {
        let store = store(1).await;
        let first = event(1, 4, &[]);
        let again = ReceivedEvent { received: time(240), event: "other".into(), ..first.clone() };
        store.add_events(std::slice::from_ref(&first), RETENTION).await.unwrap();
        store.add_events(&[again, event(2, 4, &[])], RETENTION).await.unwrap();
        let found =
            pages(&store, &EventFilter { order: serde_json::from_str("\"ASC\"").unwrap(), ..filter(&json!({})) }, 50)
                .await
                .0;
        assert_eq!((found.len(), &found[0]), (2, &first));
    });
}

#[test]
fn a_batch_with_an_event_that_is_too_large_is_refused_as_a_whole() {
    block_on(async {
        let store = store(1).await;
        let mut large = event(1, 4, &[]);
        large.payload.insert("text".into(), "x".repeat(LARGEST_RECORD).into());
        let refused = store.add_events(&[event(1, 5, &[]), large.clone()], RETENTION).await;
        assert!(matches!(refused, Err(Error::TooLarge(_))));
        assert_eq!(pages(&store, &filter(&json!({})), 50).await.0, []);
        large.payload.insert("text".into(), "x".repeat(2_000_000).into());
        store.add_events(&[large], RETENTION).await.unwrap();
    });
}

#[test]
fn the_events_of_a_resource_cost_what_is_answered() {
    block_on(async {
        let store = store(4).await;
        let others: Vec<ReceivedEvent> = (0..150).map(|seconds| event(seconds, 5, &[])).collect();
        let wanted: Vec<ReceivedEvent> = (0..10).map(|seconds| event(seconds, 4, &[])).collect();
        store.add_events(&others, RETENTION).await.unwrap();
        store.add_events(&wanted, RETENTION).await.unwrap();
        let filter = filter(&json!({"resource": {"id": [resource(4)]}}));
        let (read, cost) = cost::measured(store.read_events(&filter, None, 50, Counting::Ahead)).await;
        assert_eq!(read.unwrap().events.len(), 10);
        assert!(cost.items_read <= 20 && cost.round_trips <= 3, "{cost:?}");
    });
}

/// Returns an instant so many microseconds after a full hour.
fn micros(micros: i64) -> Timestamp {
    Timestamp::from_micros(1_790_000_000_000_000 / 3_600_000_000 * 3_600_000_000 + micros).unwrap()
}

fn named(occurred: i64, name: &str) -> ReceivedEvent {
    let document = json!({
        "occurred": micros(occurred),
        "event": name,
        // A label that looks like another event's name.
        "resource": {"prefect.resource.id": "kettle", "event": "kettle.boiled"},
        "related": [],
        "payload": {},
        "id": Uuid::new_v4(),
        "received": micros(0),
    });
    serde_json::from_value(document).unwrap()
}

/// Filters that tallies answer, and some that they don't.
fn counted_filters() -> Vec<(Value, bool)> {
    vec![
        (json!({}), true),
        (json!({"event": {"exclude_name": ["kettle.boiled"]}, "any_resource": {"id_prefix": []}}), true),
        (json!({"event": {"prefix": ["kettle"], "name": []}, "resource": {"distinct": true}, "order": "ASC"}), true),
        (json!({"event": {"name": ["kettle.boiled"]}, "resource": {"id": ["kettle"]}}), false),
        (json!({"any_resource": {"id_prefix": ["k"]}}), false),
        (json!({"text": {"query": "boiled"}}), false),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// A tally tells what looking at each event tells.
    #[test]
    fn tallied_events_are_those_that_are_there(
        events in prop::collection::vec((0i64..14_400_000_000, 0usize..3), 0..40),
        (since, length) in (-3_600_000_000i64..9_000_000_000, 0i64..9_000_000_000),
        rounding in prop::sample::select(vec![1, 1_000_000, 60_000_000, 3_600_000_000]),
        (unit, interval) in prop::sample::select(vec![
            (TimeUnit::Hour, 1.0), (TimeUnit::Minute, 1.0), (TimeUnit::Second, 1_000.0), (TimeUnit::Minute, 2.5),
            (TimeUnit::Second, 45.0), (TimeUnit::Day, 1.0),
        ]),
    ) {
        block_on(async {
            let store = Store::on(sqlite::Database::in_memory().unwrap(), Shards(1));
            let names = ["kettle.boiled", "kettle.\"whistled\"", "tea.drunk"];
            let events: Vec<ReceivedEvent> = events.iter().map(|(at, name)| named(*at, names[*name])).collect();
            store.add_events(&events, RETENTION).await.unwrap();
            let since = micros(since / rounding * rounding);
            let until = Timestamp::from_micros(since.as_micros() + length / rounding * rounding).unwrap();
            for (mut document, is_tallied) in counted_filters() {
                document["occurred"] = json!({"since": since, "until": until});
                let filter: EventFilter = serde_json::from_value(document.clone()).unwrap();
                let (mut tallied, mut counted) = (CountsByValue::default(), CountsByValue::default());
                let is_told = store.tallied_events_by_name(&filter, &mut tallied).await.unwrap();
                assert_eq!(is_told, is_tallied, "{document}");
                store.heads_of_events(&filter, |event| counted.add_name(event)).await.unwrap();
                if is_told {
                    assert_eq!(tallied.into_counts(), counted.into_counts(), "{document}");
                }
                let interval = Interval::new(unit, interval).unwrap();
                let empty = || CountsByTime::new(interval, since, until, micros(18_000_000_000));
                for by_day in [false, true] {
                    let make = || if by_day { empty().numbered_by_day() } else { empty() };
                    let (mut tallied, mut counted) = (make(), make());
                    let is_told = store.tallied_events_by_time(&filter, &mut tallied).await.unwrap();
                    assert!(is_tallied || !is_told, "{document}");
                    store.times_of_events(&filter, |occurred| counted.add(occurred)).await.unwrap();
                    if is_told {
                        assert_eq!(tallied.into_counts(), counted.into_counts(), "{document} {interval:?}");
                    }
                }
            }
        });
    }
}
