//! The websocket `/api/events/out`: who is told for how long.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "support/websocket.rs"]
mod websocket;

use std::time::Duration;

use common::{
    App, Settings,
    domain::access::{Mode, Role},
    event_ingestion,
    model::{ApiKey, ApiKeyId, Event, Timestamp},
    settings::ServerLimits,
};
use embedded::faults::Faults;
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use uuid::Uuid;

use websocket::{Socket, authenticate, open, server_with};

/// Far above each time-out that a test sets, so that a busy machine fails none.
const PATIENCE: Duration = Duration::from_secs(20);

async fn server(settings: Settings) -> (App, String) {
    server_with(settings, &Faults::default()).await
}

/// Asks to be told of all events.
async fn listen(address: &str, token: Option<&str>) -> Socket {
    let mut socket = open(address, "/events/out").await;
    authenticate(&mut socket, token).await;
    socket.send(Message::text(r#"{"type":"filter","filter":{}}"#)).await.unwrap();
    socket
}

async fn key_of(app: &App, role: Role) -> (ApiKeyId, String) {
    let (record, text) = ApiKey::mint("test".into(), role, None, app.now()).unwrap();
    app.store.add_api_key(&record).await.unwrap();
    (record.id, text)
}

fn event(text: &str) -> Event {
    serde_json::from_value(json!({
        "occurred": Timestamp::now(), "event": "kettle.boiled", "resource": {"prefect.resource.id": "kettle"},
        "payload": {"text": text}, "id": Uuid::new_v4(),
    }))
    .unwrap()
}

/// Waits until the server has `count` subscribers of events, or more.
async fn wait_for_subscribers(app: &App, count: usize) {
    let there = async {
        while app.live.events.len() < count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, there).await.unwrap();
}

async fn next(socket: &mut Socket) -> Message {
    timeout(PATIENCE, socket.next()).await.unwrap().unwrap().unwrap()
}

fn close_code(message: &Message) -> Option<u16> {
    let Message::Close(Some(frame)) = message else { return None };
    Some(frame.code.into())
}

fn told(message: &Message) -> Value {
    let told: Value = serde_json::from_str(message.to_text().unwrap()).unwrap();
    told["event"]["payload"]["text"].clone()
}

#[tokio::test]
async fn a_socket_ends_with_its_key_and_nothing_more_is_told() {
    let settings = Settings { access: Mode::Keys, key_memory: 0.0, ..Settings::default() };
    let (app, address) = server(settings).await;
    let (id, key) = key_of(&app, Role::ReadOnly).await;
    let mut socket = listen(&address, Some(&key)).await;
    wait_for_subscribers(&app, 1).await;
    event_ingestion::receive(&app, vec![event("before")]).await.unwrap();
    assert_eq!(told(&next(&mut socket).await), "before");

    app.store.revoke_api_key(id, app.now()).await.unwrap();
    event_ingestion::receive(&app, vec![event("after")]).await.unwrap();
    assert_eq!(close_code(&next(&mut socket).await), Some(1008));
}

#[tokio::test]
async fn a_silent_socket_ends_with_its_key_and_a_client_that_answers_no_ping_is_forgotten() {
    let limits = ServerLimits { ping_interval: Duration::from_millis(300), ..ServerLimits::default() };
    let settings = Settings { access: Mode::Keys, key_memory: 0.0, limits, ..Settings::default() };
    let (app, address) = server(settings).await;
    let (id, key) = key_of(&app, Role::ReadOnly).await;
    let (mut reading, _mute) = (listen(&address, Some(&key)).await, listen(&address, Some(&key)).await);
    wait_for_subscribers(&app, 2).await;
    // The one that reads answers pings by that.
    let forgotten = async {
        while app.live.events.len() > 1 {
            assert!(!next(&mut reading).await.is_close());
        }
    };
    timeout(PATIENCE, forgotten).await.unwrap();
    app.store.revoke_api_key(id, app.now()).await.unwrap();
    let code = loop {
        if let Some(code) = close_code(&next(&mut reading).await) {
            break code;
        }
    };
    assert_eq!(code, 1008);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_read_is_given_up_and_told_to_come_again() {
    let (app, address) = server(Settings::default()).await;
    let mut socket = listen(&address, None).await;
    wait_for_subscribers(&app, 1).await;
    let text = "x".repeat(10_000);
    for _ in 0..200 {
        let events: Vec<_> = (0..50).map(|_| event(&text).receive(app.now())).collect();
        app.live.tell_events(&events);
    }
    assert!(app.live.events.is_empty(), "it is given up while it does not read");
    let mut received = 0;
    let code = loop {
        match next(&mut socket).await {
            Message::Close(frame) => break frame.map(|frame| frame.code.into()),
            message => {
                assert_eq!(told(&message), text.as_str());
                received += 1;
            }
        }
    };
    assert_eq!(code, Some(1013_u16));
    assert!((1..10_000).contains(&received), "{received} were told before");
}
