//! What it takes to tell clients behind a gateway of an event: reads of the table, posts to the gateway, and time.
//!
//! The gateway is a stand-in that answers each post after the time that `--post-milliseconds` says; the table is the
//! embedded engine. So what is measured is our own part, and how the posts overlap; the network's part is an
//! assumption.

#![allow(clippy::expect_used, reason = "a measurement that can't be made ends")]

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use clap::Parser;
use common::{
    App, Settings, Store,
    connections::{Channels, Connections, Gateway, Undelivered, backfill, telling},
    error::Result,
    filter::EventFilter,
    live::News,
    model::{Connection, ReceivedEvent, Socket, Timestamp},
    store::{Versioned, cost},
};
use embedded::EmbeddedDatabase;
use futures::future::BoxFuture;
use serde_json::json;
use uuid::Uuid;

/// Measures how clients are told of an event.
#[derive(Debug, Parser)]
struct Options {
    /// How many connections there are.
    #[arg(default_value_t = 1_000)]
    connections: usize,
    /// How long the stand-in for the gateway takes for a post.
    #[arg(long, default_value_t = 10)]
    post_milliseconds: u64,
}

#[derive(Clone, Debug)]
struct StandIn {
    takes: Duration,
    posts: Arc<AtomicU64>,
}

impl Gateway for StandIn {
    fn post<'g>(&'g self, _: &'g str, _: &'g str) -> BoxFuture<'g, Result<(), Undelivered>> {
        Box::pin(async move {
            tokio::time::sleep(self.takes).await;
            self.posts.fetch_add(1, Ordering::Relaxed);
            Ok(())
        })
    }

    fn cut<'g>(&'g self, _: &'g str) -> BoxFuture<'g, Result<()>> {
        Box::pin(async { Ok(()) })
    }

    fn holds<'g>(&'g self, _: &'g str) -> BoxFuture<'g, Result<bool>> {
        Box::pin(async { Ok(true) })
    }
}

#[derive(Debug)]
struct NoChannels;

impl Channels for NoChannels {
    fn tell<'c>(&'c self, _: &'c App, _: Versioned<Connection>, _: News) -> BoxFuture<'c, Result<()>> {
        Box::pin(async { Ok(()) })
    }
}

/// Fills a table with connections whose clients ask for what `filter` says of each.
async fn world(options: &Options, filter: impl Fn(usize) -> serde_json::Value) -> (App, StandIn) {
    let database = EmbeddedDatabase::in_memory().expect("a database");
    let gateway = StandIn { takes: Duration::from_millis(options.post_milliseconds), posts: Arc::default() };
    let settings = Settings::default();
    let client = aws_sdk_dynamodb::Client::from_conf(database.sdk_config());
    let store = Store::new(client, &settings.table, settings.shards);
    store.create_table().await.expect("a table");
    let connections = Connections::new(Box::new(gateway.clone()), Box::new(NoChannels));
    let app = App::new(store, settings).reaching(connections);
    let asked = Timestamp::now().plus_seconds(-60.0);
    for number in 0..options.connections {
        let filter: EventFilter = serde_json::from_value(filter(number)).expect("a filter");
        let connection = Connection::new(&format!("connection{number}"), asked, Socket::EventsOut);
        app.store.add_connection(&connection).await.expect("a connection");
        let found = Versioned { record: connection, version: 1 };
        let wanted = backfill::subscription(&app, filter, false, asked);
        app.store.subscribe(&found, wanted).await.expect("a subscription");
    }
    (app, gateway)
}

fn event(resource: &str) -> ReceivedEvent {
    let now = Timestamp::now();
    serde_json::from_value(json!({
        "occurred": now, "event": "prefect.flow-run.Running", "resource": {"prefect.resource.id": resource},
        "related": [{"prefect.resource.id": "prefect.flow.1", "prefect.resource.role": "flow"}],
        "id": Uuid::new_v4(), "received": now,
    }))
    .expect("an event")
}

/// Tells of an event twice, the second time from what the process remembers, and prints what each took.
async fn measure(title: &str, app: &App, gateway: &StandIn) {
    for how in ["read", "remembered"] {
        let before = gateway.posts.load(Ordering::Relaxed);
        let (events, began) = ([event("prefect.flow-run.7")], Instant::now());
        let (told, cost) = cost::measured(telling::tell_events(app, &events)).await;
        told.expect("all are told");
        let (took, posts) = (began.elapsed(), gateway.posts.load(Ordering::Relaxed) - before);
        let items: u64 = cost.plan.values().map(|queried| queried.items).sum();
        println!(
            "| {title} | {how} | {posts} | {:.0} | {} | {items} | {:.1} |",
            took.as_secs_f64() * 1_000.0,
            cost.round_trips,
            cost.read_units
        );
    }
}

// A function has one thread.
#[tokio::main(flavor = "current_thread")]
async fn main() {
    let options = Options::parse();
    println!("| {} clients | listeners | posts | ms | round trips | items read | read units |", options.connections);
    println!("|---|---|--:|--:|--:|--:|--:|");
    let filters: BTreeMap<&str, fn(usize) -> serde_json::Value> = BTreeMap::from([
        ("all want all events", (|_| json!({})) as fn(usize) -> _),
        ("all want events of this name", |_| json!({"event": {"name": ["prefect.flow-run.Running"]}})),
        (
            "each wants a flow run of its own",
            |number| json!({"any_resource": {"id": [format!("prefect.flow-run.{number}")]}}),
        ),
    ]);
    for (title, filter) in filters {
        let (app, gateway) = world(&options, filter).await;
        measure(title, &app, &gateway).await;
    }
    let (app, gateway) = world(&Options { connections: 0, ..options }, |_| json!({})).await;
    measure("nobody listens", &app, &gateway).await;
}
