//! Proves that DynamoDB's tallies come to what a walk over all items counts, whatever becomes of batches and consumers.

use std::{collections::BTreeMap, time::Duration};

use aws_sdk_dynamodb::{Client, config::retry::RetryConfig, types::AttributeValue};
use embedded::{
    ChangeStream, EmbeddedDatabase, StreamRecord,
    faults::{Fault, Faults},
};
use futures::future::join;
use proptest::{collection::vec, option, prelude::*, sample::select};

use super::{CountedBatch, CountedChange, Deltas, Length, TallyKey, leaf, merge};
use crate::{Item, Key, Shards, Store, Write, cost, events::TimedPlace, table};
use domain::{
    filter::RunFilters,
    model::{
        DeploymentId, EventId, FlowId, FlowRun, FlowRunId, ReceivedEvent, State, StateId, StateType, TaskRunId,
        Timestamp, WorkQueueId,
    },
};
use uuid::Uuid;

const TABLE: &str = "proctor-records";

/// How many shards the stream has.
const STREAMS: usize = 3;

/// Where the numbers of a shard's changes begin: they have more than 20 digits.
const FIRST: u128 = 4_000_000_000_000_000_000_001;

/// A noon, as seconds since the epoch.
const NOON: i64 = 1_769_860_800;

struct World {
    database: EmbeddedDatabase,
    client: Client,
    store: Store,
    stream: ChangeStream,
}

/// One write, of an item with a number.
#[derive(Clone, Debug)]
enum Action {
    Run(u128, Run),
    RemoveRun(u128),
    Event(u128, &'static str, i64),
    RemoveEvent(u128),
}

#[derive(Clone, Debug)]
struct Run {
    flow: u128,
    deployment: Option<u128>,
    queue: Option<u128>,
    state: Option<(StateType, Option<&'static str>)>,
    expected: Option<i64>,
    start: Option<i64>,
    is_subflow: bool,
    /// Whether its texts are too long for its item.
    is_large: bool,
}

fn run() -> impl Strategy<Value = Run> {
    let states = vec![
        (StateType::Scheduled, None),
        (StateType::Scheduled, Some("Late")),
        (StateType::Running, None),
        (StateType::Running, Some("Step 7")),
        (StateType::Completed, None),
    ];
    let time = || option::of((0..3i64, 0..120i64).prop_map(|(hour, minute)| hour * 3_600 + minute * 30));
    let place = (0..2u128, option::of(0..2u128), option::of(0..1u128));
    let rest = (any::<bool>(), prop::bool::weighted(0.05));
    (place, option::weighted(0.9, select(states)), time(), time(), rest).prop_map(
        |((flow, deployment, queue), state, expected, start, (is_subflow, is_large))| Run {
            flow,
            deployment,
            queue,
            state,
            expected,
            start,
            is_subflow,
            is_large,
        },
    )
}

fn action() -> impl Strategy<Value = Action> {
    let names = vec!["prefect.flow-run.Completed", "prefect.flow-run.Running", "mine", "prefect.flow-run.Step 7"];
    prop_oneof![
        6 => (0..6u128, run()).prop_map(|(id, run)| Action::Run(id, run)),
        1 => (0..6u128).prop_map(Action::RemoveRun),
        2 => (0..4u128, select(names), prop_oneof![Just(0), 0..7_200i64])
            .prop_map(|(id, name, at)| Action::Event(id, name, at)),
        1 => (0..4u128).prop_map(Action::RemoveEvent),
    ]
}

fn time(seconds: i64) -> Timestamp {
    Timestamp::nearest_to_micros((NOON + seconds) * 1_000_000)
}

fn run_key(id: u128) -> Key {
    table::flow_run(FlowRunId(Uuid::from_u128(id)))
}

/// Returns the id of an event; every other one tells a time, which is that of its occurrence now and then.
fn event_id(id: u128) -> EventId {
    let told = EventId::first_of(time(0)).0.as_u128() + (7 << 76) + (2 << 62);
    EventId(Uuid::from_u128(if id.is_multiple_of(2) { id } else { told + id }))
}

fn event_key(id: u128) -> Key {
    let id = event_id(id);
    let timed = id.told_time().map(|_| table::timed_event_in(Shards(2), TimedPlace::Told(id)));
    timed.unwrap_or_else(|| table::event(id))
}

impl Run {
    fn record(&self, id: u128) -> FlowRun {
        let mut run =
            FlowRun::new(FlowRunId(Uuid::from_u128(id)), FlowId(Uuid::from_u128(self.flow)), "a run", time(0));
        run.deployment_id = self.deployment.map(|id| DeploymentId(Uuid::from_u128(id)));
        run.work_queue_id = self.queue.map(|id| WorkQueueId(Uuid::from_u128(id)));
        run.parent_task_run_id = self.is_subflow.then(|| TaskRunId(Uuid::from_u128(9)));
        (run.expected_start_time, run.start_time) = (self.expected.map(time), self.start.map(time));
        if let Some((kind, name)) = self.state {
            let mut state = State::new(StateId::new(), kind, time(0));
            state.name = name.map_or(state.name, ToOwned::to_owned);
            (run.state_type, run.state_name) = (Some(kind), Some(state.name.clone()));
            run.state = Some(state);
        }
        if self.is_large {
            run.tags = (0..2_000).map(|_| Uuid::new_v4().to_string()).collect();
        }
        run
    }
}

impl World {
    async fn new() -> Self {
        let database = EmbeddedDatabase::in_memory().unwrap();
        let client = Client::from_conf(database.sdk_config());
        let store = Store::new(client.clone(), TABLE, Shards(2));
        store.create_table().await.unwrap();
        let stream = database.change_stream(TABLE);
        Self { database, client, store, stream }
    }

    /// Returns a store of another process, whose requests meet faults, and are sent once.
    fn consumer(&self, faults: &Faults) -> Store {
        let config = EmbeddedDatabase::config_with(faults.before(self.database.http_client()));
        let config = config.to_builder().retry_config(RetryConfig::disabled()).build();
        Store::new(Client::from_conf(config), TABLE, Shards(2))
    }

    async fn act(&self, action: &Action) {
        let item = match action {
            Action::Run(id, run) => self.store.item(&run.record(*id), 1).unwrap(),
            Action::Event(id, name, at) => {
                let event = serde_json::json!({
                    "id": event_id(*id), "event": name, "occurred": time(*at), "received": time(*at),
                    "resource": {"prefect.resource.id": "any"}, "related": [], "payload": {},
                });
                let event: ReceivedEvent = serde_json::from_value(event).unwrap();
                self.store.item(&event, 1).unwrap()
            }
            Action::RemoveRun(id) => return self.store.commit(vec![Write::Delete(run_key(*id))]).await.unwrap(),
            Action::RemoveEvent(id) => return self.store.commit(vec![Write::Delete(event_key(*id))]).await.unwrap(),
        };
        self.store.commit(vec![Write::Put(item)]).await.unwrap();
    }

    /// Takes the mark off an item, so that it is as an older version wrote it.
    async fn unmark(&self, key: &Key) {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let update = self.client.update_item().table_name(TABLE).key("pk", text(&key.pk)).key("sk", text(&key.sk));
        let update = update.update_expression("REMOVE counted").condition_expression("attribute_exists(pk)");
        drop(update.send().await);
    }

    /// Reads what the stream tells since it was read last.
    async fn changes(&mut self) -> Vec<StreamRecord> {
        let next = tokio::time::timeout(Duration::from_millis(20), self.stream.next(100_000)).await;
        let records = next.map(Result::unwrap).unwrap_or_default();
        self.stream.acknowledge(&records).unwrap();
        records.into_iter().filter(|record| !text(&record.keys["pk"]).starts_with("tall")).collect()
    }

    /// Has everything counted that is there, so that the tallies answer.
    async fn complete(&self) {
        self.store.begin_tally_fill(time(0)).await.unwrap();
        let mut found = self.store.tally_fill().await.unwrap().unwrap();
        while !found.record.is_complete() {
            self.store.go_on_filling_tallies(&mut found.record, time(0)).await.unwrap();
        }
        self.store.advance_tally_fill(&found.record, found.version).await.unwrap();
    }

    /// Compares the tallies with a walk over all items.
    async fn check(&self) {
        let differences = self.store.tallies_that_differ(Duration::ZERO).await.unwrap();
        assert_eq!(differences, Some(Deltas::new()));
        let walked = self.store.tallies_walked().await;
        assert_eq!(self.store.count_flow_runs(&RunFilters::default()).await.unwrap(), walked);
    }
}

impl Store {
    /// Counts the runs of which there are items.
    async fn tallies_walked(&self) -> u64 {
        let (mut count, mut start) = (0, None);
        loop {
            let (page, _) = self.backend.walk(start, 100).await.unwrap();
            count += page.items.iter().filter(|item: &&Item| item.key.sk == "run").count() as u64;
            start = page.next;
            if start.is_none() {
                return count;
            }
        }
    }
}

fn text(value: &serde_json::Value) -> &str {
    value["S"].as_str().unwrap_or_default()
}

fn attributes(json: std::collections::HashMap<String, serde_json::Value>) -> serde_dynamo::Item {
    let attributes = json.into_iter().map(|(name, value)| (name, serde_json::from_value(value).unwrap()));
    attributes.collect::<std::collections::HashMap<String, serde_dynamo::AttributeValue>>().into()
}

/// Gives changes to the shards of a stream, by their keys, and numbers to them.
fn shards(records: Vec<StreamRecord>) -> Vec<Vec<CountedChange>> {
    let mut shards = vec![Vec::new(); STREAMS];
    for (place, record) in records.into_iter().enumerate() {
        let shard = text(&record.keys["pk"]).bytes().map(usize::from).sum::<usize>() % STREAMS;
        let sequence = (FIRST + 7 * place as u128).to_string();
        let (old, new) = (record.old_image.map(attributes), record.new_image.map(attributes));
        let change = CountedChange::read(&sequence, NOON, attributes(record.keys), old, new).unwrap();
        shards[shard].push(change);
    }
    shards
}

fn batch(shard: usize, changes: &[CountedChange]) -> CountedBatch {
    CountedBatch { shard: format!("shardId-{shard}"), changes: changes.to_vec() }
}

fn sum(changes: &[CountedChange]) -> Deltas {
    let mut all = Deltas::new();
    for change in changes {
        merge(&mut all, change.deltas.clone());
    }
    all
}

/// How a part of a shard is delivered, of which everything before it was delivered.
#[derive(Clone, Debug)]
struct Delivery {
    shard: usize,
    /// How many changes that were delivered come again.
    again: usize,
    /// How many changes come at most.
    length: usize,
    /// After how many updates the table fails, if it does, and how.
    fault: Option<(usize, Fault)>,
    /// Whether another consumer is given a part of the same at the same time, that ends so many changes before.
    other: Option<usize>,
}

/// Lets so many updates pass, and then as many meet a fault as `times` says.
fn failing(after: usize, fault: Fault, times: usize) -> Faults {
    let faults = Faults::on("UpdateItem");
    for _ in 0..after {
        faults.then_pass();
    }
    for _ in 0..times {
        faults.then(fault);
    }
    faults
}

fn delivery() -> impl Strategy<Value = Delivery> {
    let faults = vec![Fault::InternalError, Fault::AnswerLost];
    (0..STREAMS, 0..6usize, 1..12usize, option::of((0..12usize, select(faults))), option::of(0..4usize))
        .prop_map(|(shard, again, length, fault, other)| Delivery { shard, again, length, fault, other })
}

/// Delivers all changes, first as `deliveries` say and then the rest; whoever is late comes last.
async fn deliver(world: &World, shards: &[Vec<CountedChange>], deliveries: &[Delivery]) {
    let mut done = vec![0; shards.len()];
    for Delivery { shard, again, length, fault, other } in deliveries {
        let changes = &shards[*shard];
        let first = done[*shard] - (*again).min(done[*shard]);
        let end = (first + length).min(changes.len());
        let faults = fault.map_or_else(Faults::default, |(after, fault)| failing(after, fault, 1));
        let (one, two) = (world.consumer(&faults), world.consumer(&Faults::default()));
        let this = batch(*shard, &changes[first..end]);
        let outcome = match other {
            None => one.count_changes(&this).await,
            Some(less) => {
                let that = batch(*shard, &changes[first..end.saturating_sub(*less).max(first)]);
                let (outcome, other) = join(one.count_changes(&this), two.count_changes(&that)).await;
                other.unwrap();
                outcome
            }
        };
        if outcome.is_ok() {
            done[*shard] = done[*shard].max(end);
        }
    }
    for (shard, changes) in shards.iter().enumerate() {
        world.store.count_changes(&batch(shard, &changes[done[shard]..])).await.unwrap();
    }
    for Delivery { shard, again, length, .. } in deliveries {
        let changes = &shards[*shard];
        let first = (*again).min(changes.len());
        let late = batch(*shard, &changes[first..(first + length).min(changes.len())]);
        world.store.count_changes(&late).await.unwrap();
    }
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn tallies_are_what_a_walk_counts_however_batches_come(
        actions in vec(action(), 1..60),
        deliveries in vec(delivery(), 0..20),
    ) {
        block_on(async {
            let mut world = World::new().await;
            for action in &actions {
                world.act(action).await;
            }
            let shards = shards(world.changes().await);
            deliver(&world, &shards, &deliveries).await;
            world.complete().await;
            world.check().await;
        });
    }

    #[test]
    fn what_was_there_before_is_counted_beside_writes(
        before in vec(action(), 1..20),
        beside in vec((action(), any::<bool>()), 1..30),
        deliveries in vec(delivery(), 0..10),
    ) {
        block_on(async {
            let mut world = World::new().await;
            for action in &before {
                // The version before tallies let no event stand by the time that its id tells.
                if !matches!(action, Action::Event(id, ..) if event_id(*id).told_time().is_some()) {
                    world.act(action).await;
                }
            }
            for id in 0..6 {
                world.unmark(&run_key(id)).await;
                world.unmark(&event_key(id)).await;
            }
            world.changes().await;
            world.store.begin_tally_fill(time(0)).await.unwrap();
            let mut fill = world.store.tally_fill().await.unwrap().unwrap().record;
            for (action, is_of_older_version) in &beside {
                world.act(action).await;
                // It writes without the mark.
                if let (true, Action::Run(id, _)) = (is_of_older_version, action) {
                    world.unmark(&run_key(*id)).await;
                }
                if !fill.is_complete() {
                    world.store.go_on_filling_tallies(&mut fill, time(0)).await.unwrap();
                }
            }
            // The last function of the older version is replaced in the pause before the pass that finds nothing.
            world.complete().await;
            let shards = shards(world.changes().await);
            deliver(&world, &shards, &deliveries).await;
            world.check().await;
        });
    }
}

/// Some changes of a few runs, in one shard.
async fn some_changes() -> Vec<CountedChange> {
    let mut world = World::new().await;
    let expected = Some(600);
    let base = Run {
        flow: 1,
        deployment: Some(1),
        queue: None,
        state: Some((StateType::Scheduled, None)),
        expected,
        start: None,
        is_subflow: false,
        is_large: false,
    };
    let started = Run { state: Some((StateType::Running, Some("Step 7"))), start: Some(610), ..base.clone() };
    let ended = Run { state: Some((StateType::Completed, None)), ..started.clone() };
    for (id, run) in [(1, &base), (2, &base), (1, &started), (2, &started), (1, &ended)] {
        world.act(&Action::Run(id, run.clone())).await;
    }
    world.act(&Action::Event(1, "mine", 60)).await;
    let mut changes: Vec<CountedChange> = shards(world.changes().await).concat();
    changes.sort_by_key(|change| change.sequence);
    changes
}

async fn rows(world: &World, changes: &[CountedChange]) -> Deltas {
    world.complete().await;
    world.store.rows(&sum(changes)).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_consumer_that_is_killed_between_any_two_updates_leaves_nothing_out_and_counts_nothing_twice() {
    let changes = some_changes().await;
    let mut killed = 0;
    for fault in [Fault::InternalError, Fault::AnswerLost] {
        for after in 0.. {
            let world = World::new().await;
            let faults = failing(after, fault, 1_000);
            let outcome = world.consumer(&faults).count_changes(&batch(0, &changes)).await;
            if outcome.is_ok() {
                break;
            }
            killed += 1;
            // Lambda hands the batch out again in two parts.
            for part in [&changes[..2], &changes[2..]] {
                world.store.count_changes(&batch(0, part)).await.unwrap();
            }
            assert_eq!(rows(&world, &changes).await, sum(&changes), "{fault:?} after {after}");
        }
    }
    assert!(killed > 20, "{killed}");
}

#[tokio::test]
async fn an_update_whose_answer_is_lost_is_sent_again_and_meets_its_own_watermark() {
    let changes = some_changes().await;
    let world = World::new().await;
    let faults = failing(0, Fault::AnswerLost, 3);
    let config = EmbeddedDatabase::config_with(faults.before(world.database.http_client()));
    let store = Store::new(Client::from_conf(config), TABLE, Shards(2));
    store.count_changes(&batch(0, &changes)).await.unwrap();
    assert_eq!(faults.left(), 0);
    assert_eq!(rows(&world, &changes).await, sum(&changes));
}

#[tokio::test]
async fn changes_that_cancel_each_other_out_are_not_counted_by_who_comes_late() {
    let changes = some_changes().await;
    let back = CountedChange {
        sequence: changes[0].sequence + 1,
        deltas: changes[0].deltas.iter().map(|(key, sums)| (key.clone(), -*sums)).collect(),
        ..changes[0].clone()
    };
    let world = World::new().await;
    world.store.count_changes(&batch(0, &[changes[0].clone(), back])).await.unwrap();
    world.store.count_changes(&batch(0, &changes[..1])).await.unwrap();
    assert_eq!(rows(&world, &changes).await, Deltas::new());
}

#[tokio::test]
async fn a_name_as_long_as_a_request_holds_up_nobody() {
    let mut world = World::new().await;
    world.act(&Action::Event(1, Box::leak("name ".repeat(100_000).into_boxed_str()), 0)).await;
    world.act(&Action::Event(2, "mine", 0)).await;
    let changes: Vec<CountedChange> = shards(world.changes().await).concat();
    world.store.count_changes(&batch(0, &changes)).await.unwrap();
    world.complete().await;
    world.check().await;
}

#[tokio::test]
async fn a_number_counts_as_a_number_and_not_as_text() {
    let changes = some_changes().await;
    let numbered = |sequence| CountedChange { sequence, ..changes[0].clone() };
    let world = World::new().await;
    let (nine, ten) = (99_999_999_999_999_999_999_999_999, 100_000_000_000_000_000_000_000_000);
    world.store.count_changes(&batch(0, &[numbered(nine)])).await.unwrap();
    world.store.count_changes(&batch(0, &[numbered(ten)])).await.unwrap();
    world.store.count_changes(&batch(0, &[numbered(nine), numbered(ten)])).await.unwrap();
    let twice = sum(&[numbered(nine), numbered(ten)]);
    assert_eq!(rows(&world, &changes).await, twice);
}

#[tokio::test]
async fn the_watermarks_of_shards_that_are_closed_for_two_days_are_removed() {
    let changes = some_changes().await;
    let world = World::new().await;
    let day = 86_400;
    let mut most = 0;
    for hour in (0..20 * 24).step_by(4) {
        let time = NOON + hour * 3_600;
        let changes = [CountedChange { time, ..changes[0].clone() }];
        let shard = usize::try_from(hour).unwrap();
        world.store.count_changes(&batch(shard, &changes)).await.unwrap();
        let key = |text: &str| AttributeValue::S(text.to_owned());
        let found = world.client.get_item().table_name(TABLE).key("pk", key("tally#whole#0")).key("sk", key("all"));
        let item = found.send().await.unwrap().item.unwrap();
        let marks = item.keys().filter(|name| name.starts_with("w|")).count();
        most = most.max(marks);
        // What the stream may still tell of is counted once.
        let recent = (hour - 36).max(0) / 4 * 4;
        let again = [CountedChange { time: NOON + recent * 3_600, ..changes[0].clone() }];
        world.store.count_changes(&batch(usize::try_from(recent).unwrap(), &again)).await.unwrap();
    }
    assert!((2 * day / (4 * 3_600)..=2 * day / (4 * 3_600) + 9).contains(&i64::try_from(most).unwrap()), "{most}");
    let counted = rows(&world, &changes).await;
    assert_eq!(counted.values().map(|sums| sums.runs).max(), Some(20 * 6));
}

/// Returns what it costs to count a transition and its event, where so many come a second, of runs of so many
/// deployments.
///
/// The second number is without the minutes of leaves.
async fn units_of_a_transition(per_second: usize, deployments: u128) -> [f64; 2] {
    let mut world = World::new().await;
    let lifecycle = [
        (StateType::Scheduled, "prefect.flow-run.Scheduled", false),
        (StateType::Pending, "prefect.flow-run.Pending", false),
        (StateType::Running, "prefect.flow-run.Running", true),
        (StateType::Completed, "prefect.flow-run.Completed", true),
    ];
    let (seconds, batches) = (5, 3);
    let runs = per_second * seconds * batches / lifecycle.len();
    for id in 0..runs as u128 {
        for (kind, event, has_started) in lifecycle {
            let expected = expected_of(id, runs);
            let start = has_started.then_some(expected + 1);
            let (flow, deployment) = (id % deployments, Some(id % deployments));
            let (state, expected) = (Some((kind, None)), Some(expected));
            let run =
                Run { flow, deployment, queue: Some(1), state, expected, start, is_subflow: false, is_large: false };
            world.act(&Action::Run(id, run)).await;
            // Its event, with which every transition is counted as well.
            world.act(&Action::Event(id * 4 + kind as u128, event, expected_of(id, runs))).await;
        }
    }
    let changes: Vec<CountedChange> = shards(world.changes().await).concat();
    let by_number: BTreeMap<u128, CountedChange> =
        changes.into_iter().map(|change| (change.sequence, change)).collect();
    let all: Vec<CountedChange> = by_number.into_values().collect();
    let mut units = [0.0; 2];
    for (units, counts_minutes_of_leaves) in units.iter_mut().zip([true, false]) {
        let world = World::new().await;
        let is_counted =
            |key: &TallyKey| counts_minutes_of_leaves || key.length != Length::Minute || leaf(&key.scope).is_none();
        for changes in all.chunks((2 * per_second * seconds).min(1_000)) {
            let mut changes = changes.to_vec();
            for change in &mut changes {
                change.deltas.retain(|key, _| is_counted(key));
            }
            let (outcome, cost) = cost::measured(world.store.count_changes(&batch(0, &changes))).await;
            outcome.unwrap();
            *units += cost.write_units;
        }
    }
    let transitions = f64::from(u32::try_from(runs * lifecycle.len()).unwrap());
    units.map(|units| units / transitions)
}

fn expected_of(id: u128, runs: usize) -> i64 {
    i64::try_from(id).unwrap() * 15 / i64::try_from(runs).unwrap()
}

#[tokio::test]
async fn a_transition_and_its_event_cost_few_units_however_often_they_come() {
    for (per_second, deployments, most) in [(10, 1, 0.2), (10, 10, 0.8), (100, 10, 0.1), (100, 100, 0.7)] {
        let [all, without] = units_of_a_transition(per_second, deployments).await;
        println!(
            "{per_second} transitions a second of {deployments} deployments: {all:.3} units each, \
             {without:.3} without minutes of leaves"
        );
        assert!(without < all && all <= most, "{all} of {per_second} a second of {deployments} deployments");
    }
}
