//! Events written to the embedded database and read back page by page.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{collections::HashSet, sync::LazyLock};

use aws_sdk_dynamodb::Client;
use common::{
    Error, Store,
    event_counts::{CountsByTime, CountsByValue, Interval, TimeUnit},
    filter::EventFilter,
    model::{EventId, FlowId, FlowRun, FlowRunId, ReceivedEvent, State, StateId, StateType, Timestamp},
    store::{
        Item, Shards, Write,
        backend::LARGEST_RECORD,
        cost,
        event_query::{Counting, place},
        query::Range,
        table::{self, Collection, Index},
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

/// Returns the store on each database, on the one in the cloud with so many shards.
async fn stores(shards: u8) -> [Store; 2] {
    [store(shards).await, Store::on(sqlite::Database::in_memory().unwrap(), Shards(1))]
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

/// How many microseconds are between two moments of these tests: less than ids may tell wrongly.
const MOMENT: i64 = 20_000;

fn time(moments: u8) -> Timestamp {
    Timestamp::from_micros(1_790_000_000_000_000 + i64::from(moments) * MOMENT).unwrap()
}

/// Returns an id that tells the time so many microseconds after `time`.
fn told(time: Timestamp, micros: i64) -> Uuid {
    let random: [u8; 16] = Uuid::new_v4().into_bytes();
    let (bytes, millis) = (random.first_chunk().unwrap(), (time.as_micros() + micros) / 1_000);
    uuid::Builder::from_unix_timestamp_millis(millis.try_into().unwrap(), bytes).into_uuid()
}

/// The flow runs that events are of.
static RUNS: LazyLock<[FlowRunId; 3]> = LazyLock::new(|| [FlowRunId::new(), FlowRunId::new(), FlowRunId::new()]);

fn resource(number: u8) -> String {
    match RUNS.get(usize::from(number)) {
        Some(run) => format!("prefect.flow-run.{run}"),
        None => format!("kettle.{number}"),
    }
}

/// Returns the id of an event: that of a state where it may tell of a transition, or one that tells a time, mostly the
/// right one, or tells nothing.
fn id(moments: u8, primary: u8) -> Uuid {
    let run = RUNS.get(usize::from(primary)).filter(|_| moments.is_multiple_of(2));
    let any = Uuid::new_v4().into_bytes();
    let told = || match any[0] % 4 {
        0 => Uuid::from_bytes(any),
        1 => told(time(moments), 1_000_000),
        _ => told(time(moments), i64::from(any[1]) * 500 - 64_000),
    };
    run.map_or_else(told, |run| run.state_id(u32::from(moments) + 1).0)
}

/// The kind of states that these tests let runs enter.
const ENTERED: StateType = StateType::Running;

/// Lets a run enter the states of which `events` tell, of any runs.
async fn enter(store: &Store, run: FlowRunId, events: &[ReceivedEvent]) {
    let mut of_run: Vec<&ReceivedEvent> = events.iter().filter(|event| of_state(event) == run).collect();
    of_run.sort_by_key(|event| (event.occurred, event.id));
    let mut flow_run = FlowRun::new(run, FlowId::new(), "a run", time(0));
    for event in of_run {
        let state = State::new(StateId(event.id.0), ENTERED, event.occurred);
        let before = flow_run.state.replace(state);
        let writes = store.remember_state(&mut flow_run, before.as_ref(), None).unwrap();
        store.commit(writes).await.unwrap();
    }
    store.commit(vec![store.insert(&flow_run).unwrap()]).await.unwrap();
}

fn of_state(event: &ReceivedEvent) -> FlowRunId {
    FlowRunId::of_state(StateId(event.id.0))
}

/// Deletes a run with its states, and leaves notes of them at `now`, as the stream's consumer does.
async fn delete(store: &Store, run: FlowRunId, now: Timestamp) {
    let removed = store.read_all(Range::partition(table::flow_run(run).pk)).await.unwrap();
    store.delete_all(&removed.iter().map(|item| item.key.clone()).collect::<Vec<_>>()).await.unwrap();
    // In any order, one by one.
    for item in removed.iter().rev() {
        store.note_transitions(&[item], RETENTION, now).await.unwrap();
    }
}

/// Returns the events of so many transitions of a run, of which one occurs each moment.
fn life(run: FlowRunId, states: u8) -> Vec<ReceivedEvent> {
    let told = |number: u8| ReceivedEvent {
        id: EventId(run.state_id(u32::from(number) + 1).0),
        resource: serde_json::from_value(json!({"prefect.resource.id": format!("prefect.flow-run.{run}")})).unwrap(),
        received: time(number),
        ..event(number, 4, &[5])
    };
    (0..states).map(told).collect()
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
        deleted in 0usize..8,
    ) {
        block_on(async {
            let stores = stores(shards).await;
            let mut events: Vec<ReceivedEvent> =
                events.iter().map(|(seconds, primary, related)| event(*seconds, *primary, related)).collect();
            // Of one in 256 a run's states have the same.
            let mut ids = HashSet::new();
            events.retain(|event| ids.insert(event.id));
            // Clients have sent some that look like transitions.
            let is_transition =
                |event: &ReceivedEvent| RUNS.contains(&of_state(event)) && !event.id.0.as_bytes()[15].is_multiple_of(4);
            let (transitions, others): (Vec<ReceivedEvent>, Vec<ReceivedEvent>) =
                events.iter().cloned().partition(is_transition);
            for store in &stores {
                store.add_events(&others, RETENTION).await.unwrap();
                store.add_transitions(&transitions, RETENTION).await.unwrap();
                for (number, run) in RUNS.iter().enumerate() {
                    enter(store, *run, &transitions).await;
                    if deleted & (1 << number) > 0 {
                        delete(store, *run, time(250)).await;
                    }
                }
            }
            let documents = filters();
            let of_both = documents.iter().flat_map(|document| stores.iter().map(move |store| (document, store)));
            for (document, store) in of_both {
                for order in ["ASC", "DESC"] {
                    let order = serde_json::from_value(json!(order)).unwrap();
                    let filter = EventFilter { order, ..filter(document) };
                    let mut naive: Vec<ReceivedEvent> =
                        events.iter().filter(|event| filter.matches(event)).cloned().collect();
                    naive.sort_by(|left, right| filter.order.compare(left, right));
                    filter.retain_distinct(&mut naive);
                    let (found, total) = pages(store, &filter, limit).await;
                    assert_eq!(found, naive, "{document} {order:?}");
                    assert_eq!(total, naive.len() as u64, "{document}");
                    let mut times = Vec::new();
                    store.times_of_events(&filter, |occurred| times.push(occurred)).await.unwrap();
                    let matching = events.iter().filter(|event| filter.matches(event));
                    let mut matching: Vec<Timestamp> = matching.map(|event| event.occurred).collect();
                    matching.sort();
                    times.sort();
                    assert_eq!(times, matching, "{document}");
                }
            }
            let some: Vec<_> = events.iter().step_by(2).map(|event| event.id).collect();
            let by_id = filter(&json!({"id": {"id": some}}));
            let mut naive: Vec<ReceivedEvent> = events.iter().filter(|event| by_id.matches(event)).cloned().collect();
            naive.sort_by(|left, right| by_id.order.compare(left, right));
            for store in &stores {
                assert_eq!(pages(store, &by_id, limit).await.0, naive);
            }
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

fn as_usize(number: &Value) -> usize {
    number.as_u64().unwrap().try_into().unwrap()
}

/// Returns what is listed of a filter that takes all, by id, and counted.
async fn known(store: &Store, ids: &[Uuid]) -> [Vec<String>; 3] {
    let names = |events: Vec<ReceivedEvent>| events.into_iter().map(|event| event.event).collect::<Vec<_>>();
    let listed = pages(store, &filter(&json!({"order": "ASC"})), 2).await.0;
    let by_id = pages(store, &filter(&json!({"order": "ASC", "id": {"id": ids}})), 50).await.0;
    let mut counts = CountsByValue::default();
    let all = filter(&json!({}));
    if !store.tallied_events_by_name(&all, &mut counts).await.unwrap() {
        store.heads_of_events(&all, |event| counts.add_name(event)).await.unwrap();
    }
    let Value::Array(counts) = serde_json::to_value(counts.into_counts()).unwrap() else { panic!("they are a list") };
    let each = counts.iter().flat_map(|count| vec![count["value"].as_str().unwrap(); as_usize(&count["count"])]);
    let mut counted: Vec<String> = each.map(ToOwned::to_owned).collect();
    counted.sort_by_key(|name| listed.iter().position(|event| event.event == *name));
    [names(listed), names(by_id), counted]
}

#[test]
fn of_events_with_one_id_the_first_one_stays_whatever_times_they_tell() {
    block_on(async {
        let at = |moments: i64, id: Uuid, name: &str| {
            let occurred = Timestamp::from_micros(time(100).as_micros() + moments * MOMENT).unwrap();
            ReceivedEvent { id: id.into(), occurred, event: name.into(), ..event(1, 4, &[]) }
        };
        let ids = [told(time(100), 0), told(time(100), 0), Uuid::new_v4()];
        for store in stores(3).await {
            let batches = [
                vec![at(0, ids[0], "near")],
                vec![at(1, ids[0], "other"), at(-90, ids[0], "other"), at(-90, ids[1], "far"), at(0, ids[1], "other")],
                vec![at(0, ids[1], "other"), at(1, ids[0], "other")],
                vec![at(2, ids[2], "random"), at(3, ids[2], "other"), at(4, ids[2], "other")],
            ];
            for batch in batches {
                store.add_events(&batch, RETENTION).await.unwrap();
            }
            assert_eq!(known(&store, &ids).await, [(); 3].map(|()| vec!["far", "near", "random"]));
        }
    });
}

#[test]
fn an_event_that_an_older_version_wrote_is_read_and_does_not_come_twice() {
    block_on(async {
        let id = told(time(100), 0);
        let old = ReceivedEvent { id: id.into(), occurred: time(100), event: "old".into(), ..event(1, 4, &[]) };
        for store in stores(3).await {
            let shards = store.shards();
            let mut item = Item::of(&old, 1, shards).unwrap();
            item.key = table::event(id.into());
            item.index_keys.insert(Index::ByTime.partition(), shards.of(Collection::Events, id));
            item.index_keys.insert(Index::ByTime.sort(), place(&old));
            store.commit(vec![Write::Insert(item)]).await.unwrap();
            let again = ReceivedEvent { event: "again".into(), ..old.clone() };
            store.add_events(std::slice::from_ref(&again), RETENTION).await.unwrap();
            let others = (0..5).map(|moments| event(moments, 5, &[]));
            store.add_events(&std::iter::once(again).chain(others).collect::<Vec<_>>(), RETENTION).await.unwrap();
            let [listed, by_id, counted] = known(&store, &[id]).await;
            assert_eq!((listed.len(), counted.len(), by_id), (6, 6, vec!["old".to_owned()]));
            assert!(!listed.contains(&"again".to_owned()));
            let of_resource = pages(&store, &filter(&json!({"resource": {"id": [resource(4)]}})), 50).await.0;
            assert_eq!(of_resource, std::slice::from_ref(&old));
        }
    });
}

#[test]
fn events_of_one_moment_come_in_the_order_of_their_occurrence_however_many_there_are() {
    block_on(async {
        let mut events: Vec<ReceivedEvent> = (0..600)
            .map(|number| {
                let occurred = Timestamp::from_micros(time(0).as_micros() + number * 1_000).unwrap();
                // Ids tell up to 49 milliseconds more or less, in another order.
                let id = told(occurred, (number * 37 % 99 - 49) * 1_000);
                ReceivedEvent { id: id.into(), occurred, ..event(0, 4, &[]) }
            })
            .collect();
        for store in stores(3).await {
            store.add_events(&events, RETENTION).await.unwrap();
            for order in ["ASC", "DESC"] {
                let filter = filter(&json!({"order": order}));
                events.sort_by(|left, right| filter.order.compare(left, right));
                for limit in [90, 600] {
                    let (found, total) = pages(&store, &filter, limit).await;
                    assert!(found == events, "{order}, {limit}");
                    assert_eq!(total, 600);
                }
                let since = |event: &ReceivedEvent| event.occurred >= time(10) && event.occurred <= time(15);
                let some = json!({"order": order, "occurred": {"since": time(10), "until": time(15)}});
                let expected: Vec<ReceivedEvent> = events.iter().filter(|event| since(event)).cloned().collect();
                assert!(pages(&store, &self::filter(&some), 90).await.0 == expected, "{order}");
                let mut times = 0;
                store.times_of_events(&self::filter(&some), |_| times += 1).await.unwrap();
                assert_eq!(times, expected.len());
            }
        }
    });
}

#[test]
fn events_in_the_order_of_time_take_no_entry_and_are_read_without_fetching_them() {
    block_on(async {
        let store = store(4).await;
        let events: Vec<ReceivedEvent> = (0..200)
            .map(|moments| ReceivedEvent { id: told(time(moments), 700).into(), ..event(moments, 4, &[]) })
            .collect();
        store.add_events(&events, RETENTION).await.unwrap();
        let (read, cost) = cost::measured(store.read_events(&filter(&json!({})), None, 50, Counting::PageOnly)).await;
        let found: Vec<Timestamp> = read.unwrap().events.iter().map(|event| event.occurred).collect();
        assert_eq!(found, (150..200).rev().map(time).collect::<Vec<_>>());
        assert!(cost.items_read <= 200 && cost.round_trips <= 12, "{cost:?}");
        let (by_id, cost) = cost::measured(store.event(events[7].id)).await;
        assert_eq!((by_id.unwrap().as_ref(), cost.round_trips), (Some(&events[7]), 1));
    });
}

/// Returns what is found of a run: by time, by the run in each direction, by what relates to it, and by id.
async fn found_of(store: &Store, run: FlowRunId, ids: &[EventId]) -> [Vec<EventId>; 5] {
    let resource = json!([format!("prefect.flow-run.{run}")]);
    let filters = [
        json!({"order": "ASC"}),
        json!({"order": "ASC", "resource": {"id": resource}}),
        json!({"order": "DESC", "resource": {"id": resource}}),
        json!({"order": "ASC", "any_resource": {"id": resource}}),
        json!({"order": "ASC", "id": {"id": ids}}),
    ];
    let mut found = Vec::new();
    for document in filters {
        let (events, counted) = pages(store, &filter(&document), 7).await;
        assert_eq!(counted, events.len() as u64, "{document}");
        found.push(events.into_iter().map(|event| event.id).collect::<Vec<_>>());
    }
    found[2].reverse();
    found.try_into().unwrap()
}

#[test]
fn the_events_of_transitions_are_found_whether_their_run_is_there_or_deleted_before_or_after_them() {
    block_on(async {
        for store in stores(3).await {
            for (states, is_late) in [(3, false), (3, true), (40, false), (40, true)] {
                let run = FlowRunId::new();
                let life = life(run, states);
                let ids: Vec<EventId> = life.iter().map(|event| event.id).collect();
                enter(&store, run, &life).await;
                if is_late {
                    let (last, others) = life.split_last().unwrap();
                    store.add_transitions(others, RETENTION).await.unwrap();
                    delete(&store, run, time(250)).await;
                    store.add_transitions(std::slice::from_ref(last), RETENTION).await.unwrap();
                } else {
                    store.add_transitions(&life, RETENTION).await.unwrap();
                    assert_eq!(found_of(&store, run, &ids).await, [(); 5].map(|()| ids.clone()));
                    delete(&store, run, time(250)).await;
                }
                assert_eq!(found_of(&store, run, &ids).await, [(); 5].map(|()| ids.clone()), "{states} {is_late}");
                // Told once more, also of the deletion.
                store.add_transitions(&life, RETENTION).await.unwrap();
                delete(&store, run, time(250)).await;
                assert_eq!(found_of(&store, run, &ids).await, [(); 5].map(|()| ids.clone()));
                let keys: Vec<_> = store.read_all(Range::partition("events_at#0")).await.unwrap();
                store.delete_all(&keys.into_iter().map(|item| item.key).collect::<Vec<_>>()).await.unwrap();
                for shard in 1..3 {
                    let rest = store.read_all(Range::partition(format!("events_at#{shard}"))).await.unwrap();
                    store.delete_all(&rest.into_iter().map(|item| item.key).collect::<Vec<_>>()).await.unwrap();
                }
                assert_eq!(found_of(&store, run, &ids).await, [(); 5].map(|()| Vec::new()), "a note is no event");
            }
        }
    });
}

#[test]
fn transitions_of_one_instant_are_read_page_by_page() {
    block_on(async {
        let run = FlowRunId::new();
        let mut life: Vec<ReceivedEvent> =
            life(run, 12).into_iter().map(|event| ReceivedEvent { occurred: time(1), ..event }).collect();
        life.sort_by_key(|event| event.id);
        let document = json!({"order": "DESC", "resource": {"id": [format!("prefect.flow-run.{run}")]}});
        for store in stores(3).await {
            enter(&store, run, &life).await;
            store.add_transitions(&life, RETENTION).await.unwrap();
            for limit in [1, 2, 5] {
                let (mut found, _) = pages(&store, &filter(&document), limit).await;
                found.reverse();
                assert_eq!(found, life);
            }
        }
    });
}

#[test]
fn a_note_is_left_of_what_is_kept_longer_than_its_run_and_goes_with_it() {
    block_on(async {
        let seconds = |seconds: f64| time(0).plus_seconds(seconds);
        let noted = async |store: &Store, run| {
            let of_run = store.read_all(Range::partition(table::events_of_flow_run(run))).await.unwrap();
            let keys: Vec<_> = of_run.into_iter().map(|item| item.key).collect();
            store.get_items(&keys).await.unwrap().into_iter().map(|item| item.expires.unwrap()).collect::<Vec<i64>>()
        };
        // An event is kept for an hour after it arrives, which it does within a day.
        for store in stores(1).await {
            for (after, is_left) in [(0.0, true), (89_999.0, true), (90_001.0, false)] {
                let run = FlowRunId::new();
                let life = life(run, 1);
                enter(&store, run, &life).await;
                store.add_transitions(&life, RETENTION).await.unwrap();
                delete(&store, run, seconds(after)).await;
                let expected = Vec::from_iter(is_left.then(|| seconds(90_000.0).as_seconds()));
                assert_eq!(noted(&store, run).await, expected, "{after}");
            }
            // One that arrives later than that brings its note along, and is found without its run.
            let run = FlowRunId::new();
            let late = ReceivedEvent { received: seconds(100_000.0), ..life(run, 1).remove(0) };
            store.add_transitions(std::slice::from_ref(&late), RETENTION).await.unwrap();
            assert_eq!(noted(&store, run).await, [seconds(103_600.0).as_seconds()]);
            assert_eq!(store.event(late.id).await.unwrap(), Some(late));
        }
    });
}

#[test]
fn the_event_of_a_transition_is_one_item_without_an_entry_by_time_and_comes_once() {
    block_on(async {
        for store in stores(3).await {
            let run = FlowRunId::new();
            let life = life(run, 2);
            enter(&store, run, &life).await;
            // The first one was written by an older version, the second one is sent by a client as well.
            let old = Item::of(&life[0], 1, store.shards()).unwrap();
            assert_eq!(old.key, table::flow_run_event(run, life[0].id));
            store.commit(vec![Write::Insert(old.clone())]).await.unwrap();
            let late = |event: &ReceivedEvent| ReceivedEvent { received: time(200), ..event.clone() };
            store.add_transitions(&life.iter().map(late).collect::<Vec<_>>(), RETENTION).await.unwrap();
            let sent: Vec<ReceivedEvent> =
                life.iter().map(|event| ReceivedEvent { event: "other".into(), ..event.clone() }).collect();
            store.add_events(&sent, RETENTION).await.unwrap();
            let ids: Vec<EventId> = life.iter().map(|event| event.id).collect();
            assert_eq!(found_of(&store, run, &ids).await, [(); 5].map(|()| ids.clone()));
            let events = pages(&store, &filter(&json!({"order": "ASC"})), 50).await.0;
            assert_eq!(events, [life[0].clone(), late(&life[1])]);
            let items = store.get_items(&[old.key]).await.unwrap();
            assert_eq!(items.len(), 1);
            let mut timed = Vec::new();
            for shard in 0..3 {
                timed.extend(store.read_all(Range::partition(format!("events_at#{shard}"))).await.unwrap());
            }
            let [item] = &timed[..] else { panic!("{timed:?}") };
            assert_eq!(item.record::<ReceivedEvent>().unwrap(), late(&life[1]));
            let by_time = Range::all(&store, Index::ByTime, Collection::Events);
            let entries: Vec<_> = store.read_all(by_time).await.unwrap().into_iter().map(|item| item.key).collect();
            assert_eq!(entries, [table::flow_run_event(run, life[0].id)]);
            let [_, _, counted] = known(&store, &[]).await;
            assert_eq!(counted.len(), 2, "each is counted once");
        }
    });
}

#[test]
fn a_window_of_a_run_with_many_states_reads_no_others() {
    block_on(async {
        let store = store(4).await;
        let run = FlowRunId::new();
        let life = life(run, 240);
        enter(&store, run, &life).await;
        store.add_transitions(&life, RETENTION).await.unwrap();
        let resource = json!([format!("prefect.flow-run.{run}")]);
        let of_run = json!({"order": "ASC", "resource": {"id": resource}});
        let within = |since: u8, until: u8| {
            let mut document = of_run.clone();
            document["occurred"] = json!({"since": time(since), "until": time(until)});
            filter(&document)
        };
        let (read, cost) = cost::measured(store.read_events(&within(100, 104), None, 50, Counting::Ahead)).await;
        assert_eq!(read.unwrap().events, life[100..=104]);
        assert!(cost.items_read <= 12 && cost.round_trips <= 6, "{cost:?}");
        let (read, cost) = cost::measured(store.read_events(&filter(&of_run), None, 10, Counting::PageOnly)).await;
        assert_eq!(read.unwrap().events, life[..10]);
        assert!(cost.items_read <= 220, "it reads a page, not all: {cost:?}");
        assert_eq!(pages(&store, &filter(&of_run), 50).await.0, life);
        let (by_id, cost) = cost::measured(store.event(life[239].id)).await;
        assert_eq!(by_id.unwrap().as_ref(), life.last());
        assert!(cost.round_trips <= 4, "{cost:?}");
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
        // Some stand in the order of time, and some don't.
        "id": if occurred % 3 == 0 { Uuid::new_v4() } else { told(micros(occurred), occurred % 60_000) },
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
