//! Automations from the event to the firing, by the consumer of the table's stream: doubles, batches, faults, timers.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::Duration,
};

use aws_sdk_dynamodb::Client;
use common::{
    App, Settings, Store,
    domain::automations::{ChildFirings, FiringOfTrigger, Seen, TriggerTree, Window, child_fired, elapse, take},
    event_ingestion,
    filter::EventFilter,
    jobs::{
        self,
        queue::{Message, Queue},
    },
    model::{
        AutomationId, Event, EventId, FiringId, ReceivedEvent, StoredAutomation, Timestamp, TriggerId,
        automation::{Posture, Trigger},
    },
    store::{Item, Key, Shards, event_query::Counting},
    stream::{Change, consume},
};
use embedded::{
    EmbeddedDatabase,
    faults::{Fault, Faults},
};
use proptest::prelude::*;
use serde_json::{Value, json};

struct World {
    app: App,
    queue: Queue,
    database: EmbeddedDatabase,
    consumed: usize,
}

async fn world(faults: &Faults) -> World {
    let database = EmbeddedDatabase::in_memory().unwrap();
    let client = Client::from_conf(EmbeddedDatabase::config_with(faults.before(database.http_client())));
    let settings = Settings { shards: 2, ..Settings::default() };
    let store = Store::new(client, &settings.table, settings.shards);
    store.create_table().await.unwrap();
    let queue = Queue::new(aws_sdk_sqs::Client::from_conf(database.queue().unwrap().sdk_config()), "any");
    World { app: App::new(store, settings), queue, database, consumed: 0 }
}

impl World {
    async fn changes(&self) -> Vec<Change> {
        let mut stream = self.database.change_stream(&self.app.settings.table);
        let Ok(records) = tokio::time::timeout(Duration::from_millis(100), stream.next(10_000)).await else {
            return Vec::new();
        };
        let change = |record: &embedded::StreamRecord| {
            Change::from_json(record.keys.clone(), record.old_image.clone(), record.new_image.clone()).unwrap()
        };
        records.unwrap().iter().map(change).collect()
    }

    /// Consumes what was written, and what follows from it, each change once.
    async fn settle(&mut self) {
        loop {
            let changes = self.changes().await;
            if changes.len() == self.consumed {
                return;
            }
            let failures = consume(&self.app, &self.queue, &changes[self.consumed..]).await;
            assert!(failures.is_empty(), "{failures:?}");
            self.consumed = changes.len();
        }
    }

    async fn add(&mut self, trigger: Value) -> StoredAutomation {
        let stored = automation(trigger);
        self.app.store.add_automation(&stored).await.unwrap();
        self.settle().await;
        stored
    }

    async fn send(&mut self, events: &[Event]) {
        event_ingestion::receive(&self.app, events.to_vec()).await.unwrap();
        self.settle().await;
    }

    /// Has the consumer take these events in together, also those that it had before, and what follows.
    async fn take_in(&mut self, events: &[&ReceivedEvent]) {
        let changes: Vec<Change> = events.iter().copied().map(change).collect();
        assert!(consume(&self.app, &self.queue, &changes).await.is_empty());
        self.settle().await;
    }

    /// Returns the events that tell of firings, the newest first.
    async fn firings(&self) -> Vec<ReceivedEvent> {
        let mut filter: EventFilter =
            serde_json::from_value(json!({"event": {"name": ["prefect.automation.triggered"]}})).unwrap();
        filter.resolve(Timestamp::now());
        self.app.store.read_events(&filter, None, 200, Counting::Ahead).await.unwrap().events
    }

    /// Does what is due.
    async fn fire_timers(&mut self) {
        for partition in self.app.store.timer_partitions() {
            let message = Message::Timers { partition, after: None };
            let failures = jobs::consume(&self.app, &self.queue, &[message.into()]).await;
            assert!(failures.is_empty(), "{failures:?}");
        }
        self.settle().await;
    }

    async fn has_timers(&self) -> bool {
        let far = Timestamp::now().plus_seconds(1e6);
        for partition in self.app.store.timer_partitions() {
            if !self.app.store.timers(&partition, None, far, 1).await.unwrap().is_empty() {
                return true;
            }
        }
        false
    }
}

fn automation(mut trigger: Value) -> StoredAutomation {
    give_ids(&mut trigger);
    serde_json::from_value(json!({
        "name": "tell", "trigger": trigger, "actions": [{"type": "do-nothing"}, {"type": "do-nothing"}],
        "id": AutomationId::new(), "created": Timestamp::now(), "updated": Timestamp::now(),
    }))
    .unwrap()
}

fn give_ids(trigger: &mut Value) {
    trigger["id"] = json!(TriggerId::new());
    if let Some(children) = trigger.get_mut("triggers").and_then(Value::as_array_mut) {
        children.iter_mut().for_each(give_ids);
    }
}

fn event(name: &str, resource: &str, occurred: Timestamp) -> Event {
    serde_json::from_value(json!({
        "event": name, "resource": {"prefect.resource.id": resource}, "occurred": occurred, "id": EventId::new(),
    }))
    .unwrap()
}

fn reactive(fields: &Value) -> Value {
    let mut trigger = json!({"type": "event", "posture": "Reactive"});
    trigger.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    trigger
}

#[tokio::test]
async fn an_event_fires_once_however_often_it_comes() {
    for fields in [json!({"expect": ["a"]}), json!({"expect": ["a"], "within": 10})] {
        let mut world = world(&Faults::default()).await;
        let stored = world.add(reactive(&fields)).await;
        let sent = event("a", "kettle", Timestamp::now());
        world.send(std::slice::from_ref(&sent)).await;
        world.send(std::slice::from_ref(&sent)).await;
        // The whole stream comes again, as it does to a consumer that starts anew.
        let changes = world.changes().await;
        assert!(consume(&world.app, &world.queue, &changes).await.is_empty());
        world.settle().await;
        let firings = world.firings().await;
        assert_eq!(firings.len(), 1);
        let told = &firings[0];
        assert_eq!(told.resource.id(), format!("prefect.automation.{}", stored.automation.id));
        assert_eq!(told.resource.label("prefect.posture"), Some("Reactive"));
        assert_eq!(told.payload["triggering_event"]["id"], json!(sent.id));
        assert_eq!(told.related[0].resource().id(), format!("prefect.event.{}", sent.id));
    }
}

#[tokio::test]
async fn only_automations_that_are_enabled_are_evaluated() {
    let mut world = world(&Faults::default()).await;
    let stored = world.add(reactive(&json!({"expect": ["a"]}))).await;
    let id = stored.automation.id;
    let mut count = Vec::new();
    for step in 0..3 {
        let enable = |stored: &mut StoredAutomation| {
            stored.automation.enabled = step != 1;
            stored.automation.updated = Timestamp::now();
            Ok(())
        };
        world.app.store.update_automation(id, enable, &[]).await.unwrap();
        world.send(&[event("a", "kettle", Timestamp::now())]).await;
        count.push(world.firings().await.len());
    }
    world.app.store.delete_automation(id).await.unwrap();
    world.send(&[event("a", "kettle", Timestamp::now())]).await;
    count.push(world.firings().await.len());
    assert_eq!(count, [1, 1, 2, 2]);
}

#[tokio::test]
async fn another_process_hears_of_a_new_automation_at_once() {
    let mut world = world(&Faults::default()).await;
    world.add(reactive(&json!({"expect": ["b"]}))).await;
    world.send(&[event("a", "kettle", Timestamp::now())]).await;
    let elsewhere = App::new(world.app.store.clone(), Settings { shards: 2, ..Settings::default() });
    elsewhere.store.add_automation(&automation(reactive(&json!({"expect": ["a"]})))).await.unwrap();
    world.send(&[event("a", "kettle", Timestamp::now())]).await;
    assert_eq!(world.firings().await.len(), 1);
}

#[tokio::test]
async fn what_stays_away_is_told_when_its_time_is_over_and_again() {
    let mut world = world(&Faults::default()).await;
    let fields = json!({"posture": "Proactive", "within": 10, "expect": ["a"]});
    let stored = world.add(reactive(&fields)).await;
    assert!(world.has_timers().await);
    world.fire_timers().await;
    assert!(world.firings().await.is_empty(), "it is not over yet");
    let trigger = stored.automation.trigger.id();
    for expected in 1..3 {
        shift(&world, trigger, -11.0).await;
        world.fire_timers().await;
        world.fire_timers().await;
        assert_eq!(world.firings().await.len(), expected);
    }
    world.send(&[event("a", "kettle", Timestamp::now())]).await;
    shift(&world, trigger, -11.0).await;
    world.fire_timers().await;
    assert_eq!(world.firings().await.len(), 2, "what was waited for has come");
    world.app.store.delete_automation(stored.automation.id).await.unwrap();
    shift(&world, trigger, -11.0).await;
    world.fire_timers().await;
    assert_eq!(world.firings().await.len(), 2);
    assert!(!world.has_timers().await, "nothing is left of what is not evaluated");
}

/// Moves the window of a trigger without labels in time.
async fn shift(world: &World, trigger: TriggerId, seconds: f64) {
    use common::store::triggers::{Evaluated, TriggerState};
    let place = (trigger, TriggerState::group(trigger, &[]));
    let found = world.app.store.trigger_states(&[place]).await.unwrap().pop().unwrap();
    let mut state = found.record;
    if let Some(window) = &mut state.window {
        window.start = window.start.plus_seconds(seconds);
        window.end = window.end.plus_seconds(seconds);
        state.due = Some(window.end);
    }
    let evaluated = Evaluated { states: vec![(state, Some(found.version))], ..Evaluated::default() };
    world.app.store.write_evaluated(&evaluated).await.unwrap();
}

#[tokio::test]
async fn a_run_that_stops_beating_is_told_of_once() {
    let mut world = world(&Faults::default()).await;
    let fields = json!({
        "posture": "Proactive", "within": 30, "after": ["beat"], "expect": ["beat", "end"],
        "for_each": ["prefect.resource.id"],
    });
    world.add(reactive(&fields)).await;
    let ago = |seconds: f64| Timestamp::now().plus_seconds(-seconds);
    let beats = |resource: &str| [90.0, 70.0, 50.0].map(|seconds| event("beat", resource, ago(seconds)));
    let mut events: Vec<Event> = ["one", "two", "three"].iter().flat_map(|resource| beats(resource)).collect();
    events.push(event("end", "two", ago(45.0)));
    events.extend([25.0, 5.0].map(|seconds| event("beat", "three", ago(seconds))));
    world.send(&events).await;
    world.fire_timers().await;
    world.fire_timers().await;
    let firings = world.firings().await;
    let labels: Vec<_> = firings.iter().map(|told| &told.payload["triggering_labels"]["prefect.resource.id"]).collect();
    assert_eq!(labels, [&json!("one")]);
}

#[tokio::test]
async fn an_event_from_before_the_window_opens_none_when_it_comes_again() {
    let mut world = world(&Faults::default()).await;
    let fields = json!({
        "posture": "Proactive", "within": 60, "after": ["a"], "expect": ["a", "b"], "for_each": ["prefect.resource.id"],
    });
    world.add(reactive(&fields)).await;
    let from = Timestamp::now().plus_seconds(-400.0);
    let [first, early, late, second] = [("a", 60.0), ("a", 0.0), ("b", 120.0), ("a", 60.0)]
        .map(|(name, seconds)| event(name, "kettle", from.plus_seconds(seconds)).receive(Timestamp::now()));
    // Both events at 60 miss what was to come within a minute of them.
    for (events, expected) in [(vec![&first], 0), (vec![&early, &late], 1), (vec![&early, &second], 1)] {
        world.take_in(&events).await;
        assert_eq!(world.firings().await.len(), expected);
    }
    world.fire_timers().await;
    assert_eq!(world.firings().await.len(), 2);
}

#[tokio::test]
async fn an_event_within_the_window_opens_none_when_it_comes_again() {
    let mut world = world(&Faults::default()).await;
    world.add(reactive(&json!({"after": ["a"], "expect": ["b"], "within": 10}))).await;
    let now = Timestamp::now();
    let [opens, another, closes] = [("a", 0.0), ("a", 5.0), ("b", 6.0)]
        .map(|(name, seconds)| event(name, "kettle", now.plus_seconds(seconds)).receive(now));
    for (taken, expected) in [(&opens, 0), (&another, 0), (&closes, 1), (&another, 1)] {
        world.take_in(&[taken]).await;
        assert_eq!(world.firings().await.len(), expected);
    }
}

#[tokio::test]
async fn triggers_of_triggers_fire_when_those_within_have() {
    let mut world = world(&Faults::default()).await;
    let [a, b, c] = ["a", "b", "c"].map(|name| reactive(&json!({"expect": [name]})));
    let sequence = json!({"type": "sequence", "triggers": [a, b], "within": 60});
    world.add(json!({"type": "compound", "triggers": [sequence, c], "within": null, "require": "all"})).await;
    let now = Timestamp::now();
    let at = |name: &str, seconds: f64| event(name, "kettle", now.plus_seconds(seconds));
    for (sent, expected) in [(at("c", 0.0), 0), (at("b", 1.0), 0), (at("a", 2.0), 0), (at("b", 3.0), 1)] {
        world.send(&[sent]).await;
        assert_eq!(world.firings().await.len(), expected);
    }
    // The order is that of what happened, not that in which it is heard of.
    for (sent, expected) in [(at("b", 9.0), 1), (at("c", 9.0), 1), (at("a", 8.0), 2)] {
        world.send(&[sent]).await;
        assert_eq!(world.firings().await.len(), expected);
    }
}

/// The automations that the model is compared with, by their triggers.
fn triggers() -> Vec<Value> {
    let proactive = json!({"posture": "Proactive", "within": 60, "for_each": ["prefect.resource.id"]});
    let with = |more: Value| {
        let mut trigger = reactive(&proactive);
        trigger.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        trigger
    };
    let [a, b] = ["a", "b"].map(|name| reactive(&json!({"expect": [name], "within": 30})));
    vec![
        reactive(&json!({"expect": ["a"]})),
        reactive(&json!({"expect": ["a", "b"], "threshold": 3})),
        reactive(&json!({
            "match": {"prefect.resource.id": ["x", "y"]}, "threshold": 2, "within": 60,
            "for_each": ["prefect.resource.id"],
        })),
        reactive(&json!({"expect": ["b"], "after": ["a"], "within": 60})),
        reactive(&json!({"expect": ["b", "a"], "after": ["a"], "within": 120, "threshold": 2})),
        with(json!({"expect": ["a"], "after": ["b"]})),
        with(json!({"expect": ["a", "b"], "after": ["a"]})),
        with(json!({"expect": ["a"], "threshold": 2})),
        json!({"type": "compound", "triggers": [a, b], "within": 90, "require": "all"}),
        json!({"type": "sequence", "triggers": [a, b], "within": null}),
    ]
}

/// What an automation does by the rules alone, with everything in memory.
#[derive(Default)]
struct Model {
    windows: HashMap<(TriggerId, Vec<String>), Option<Window>>,
    held: HashMap<(TriggerId, Vec<String>), Vec<Seen>>,
    waiting: HashMap<TriggerId, ChildFirings>,
    taken: HashSet<EventId>,
    fired: usize,
}

impl Model {
    fn take(&mut self, tree: &TriggerTree, events: &[ReceivedEvent], now: Timestamp) {
        let mut events: Vec<_> = events.iter().filter(|event| !self.taken.contains(&event.id)).collect();
        events.sort_by_key(|event| (event.occurred, event.id));
        events.dedup_by_key(|event| event.id);
        for event in events {
            self.taken.insert(event.id);
            for node in tree.nodes().iter().filter(|node| node.coverage.covers(event)) {
                let place = (node.trigger.id, node.coverage.values(event));
                let (held, seen) = (self.held.entry(place.clone()).or_default(), Seen::from(event));
                let window = self.windows.remove(&place).flatten();
                let (window, fired) = take(&node.trigger, &node.coverage, window, &seen, held.as_slice(), now);
                if !node.trigger.after.is_empty() && !node.coverage.starts_after(&event.event) {
                    held.push(seen);
                }
                self.windows.insert(place, window);
                for fired in fired {
                    self.fire(tree, node.trigger.id, fired.at);
                }
            }
        }
    }

    fn elapse(&mut self, tree: &TriggerTree, now: Timestamp) {
        for (trigger, values) in self.windows.keys().cloned().collect::<Vec<_>>() {
            let node = tree.node(trigger).unwrap();
            if node.trigger.posture == Posture::Proactive {
                let window = self.windows.remove(&(trigger, values.clone())).flatten();
                let (window, fired) = elapse(&node.trigger, window, now);
                self.windows.insert((trigger, values), window);
                if let Some(fired) = fired {
                    self.fire(tree, trigger, fired.at);
                }
            }
        }
    }

    fn fire(&mut self, tree: &TriggerTree, trigger: TriggerId, at: Timestamp) {
        let mut firing = FiringOfTrigger {
            id: FiringId::new(),
            trigger,
            triggered: at,
            at,
            triggering_labels: BTreeMap::new(),
            triggering_firings: Vec::new(),
            triggering_event: None,
        };
        while let Some(parent) = tree.parent(firing.trigger) {
            match child_fired(parent, self.waiting.entry(parent.id()).or_default(), firing) {
                Some(next) => firing = next,
                None => return,
            }
        }
        self.fired += 1;
    }
}

#[derive(Clone, Debug)]
struct Sent {
    name: &'static str,
    resource: &'static str,
    seconds: u32,
    /// Whether it comes again in this batch or a later one.
    again_after: Option<usize>,
}

fn sent() -> impl Strategy<Value = Sent> {
    let names = prop_oneof![Just("a"), Just("b"), Just("c")];
    let strategy = (names, prop_oneof![Just("x"), Just("y")], 0_u32..14, proptest::option::of(0_usize..3));
    strategy.prop_map(|(name, resource, half_minutes, again_after)| Sent {
        name,
        resource,
        seconds: half_minutes * 30,
        again_after,
    })
}

/// What requests of the table meet: all of them, or those alone that write what an evaluation changes.
fn faults() -> impl Strategy<Value = (bool, Vec<Option<Fault>>)> {
    let any = prop_oneof![
        6 => Just(None),
        1 => Just(Some(Fault::Throttled)),
        1 => Just(Some(Fault::InternalError)),
        1 => Just(Some(Fault::AnswerLost)),
    ];
    let of_writes = prop_oneof![
        2 => Just(None),
        1 => Just(Some(Fault::TransactionConflict)),
        1 => Just(Some(Fault::AnswerLost)),
    ];
    let any = proptest::collection::vec(any, 0..30).prop_map(|faults| (false, faults));
    let of_writes = proptest::collection::vec(of_writes, 0..8).prop_map(|faults| (true, faults));
    prop_oneof![any, of_writes]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    /// Events that are late, doubled and out of order, and a store that fails, make automations fire as the rules say.
    #[test]
    fn fires_as_the_rules_say(
        which in 0..triggers().len(),
        batches in proptest::collection::vec(proptest::collection::vec(sent(), 1..6), 1..6),
        faults in faults(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (fired, expected) = runtime.block_on(trial(&triggers()[which], &batches, &faults));
        prop_assert_eq!(fired, expected, "{}", triggers()[which]);
    }
}

/// Returns how often the automation has fired, and how often it should have.
async fn trial(
    trigger: &Value,
    batches: &[Vec<Sent>],
    (only_writes, faults): &(bool, Vec<Option<Fault>>),
) -> (usize, usize) {
    let script = if *only_writes { Faults::on("TransactWriteItems") } else { Faults::default() };
    let mut world = world(&script).await;
    let stored = world.add(trigger.clone()).await;
    let (tree, mut model) = (TriggerTree::new(&stored.automation.trigger), Model::default());
    // Nothing begins or ends within 15 seconds of what the rules compare with the clock.
    let from = Timestamp::now().plus_seconds(-405.0);
    let mut again: Vec<(usize, ReceivedEvent)> = Vec::new();
    for fault in faults {
        match fault {
            Some(fault) => script.then(*fault),
            None => script.then_pass(),
        };
    }
    for (number, batch) in batches.iter().enumerate() {
        let mut events: Vec<ReceivedEvent> = Vec::new();
        for sent in batch {
            let occurred = from.plus_seconds(f64::from(sent.seconds));
            let received = event(sent.name, sent.resource, occurred).receive(Timestamp::now());
            again.extend(sent.again_after.map(|after| (number + after, received.clone())));
            events.push(received);
        }
        events.extend(again.iter().filter(|(due, _)| *due == number).map(|(_, event)| event.clone()));
        model.take(&tree, &events, Timestamp::now());
        let changes: Vec<Change> = events.iter().map(change).collect();
        // What waits comes again, with all of its batch.
        for _ in 0..60 {
            if consume(&world.app, &world.queue, &changes).await.is_empty() {
                break;
            }
        }
    }
    script.end();
    world.settle().await;
    world.fire_timers().await;
    world.fire_timers().await;
    model.elapse(&tree, Timestamp::now());
    (world.firings().await.len(), model.fired)
}

/// Returns the change that the stream tells of an event.
fn change(event: &ReceivedEvent) -> Change {
    let item = Item::of(event, 1, Shards(2)).unwrap();
    let key: Key = item.key.clone();
    Change { key, before: None, after: Some(item) }
}

#[test]
fn the_triggers_of_the_model_are_valid() {
    for trigger in triggers() {
        let stored = automation(trigger);
        assert!(matches!(stored.automation.trigger, Trigger::Event(_) | Trigger::Compound(_) | Trigger::Sequence(_)));
    }
}

#[tokio::test]
async fn the_store_is_asked_for_nothing_where_there_is_no_automation() {
    let store: Store = world(&Faults::default()).await.app.store;
    assert_eq!(store.evaluated_automations_token().await.unwrap(), None);
}
