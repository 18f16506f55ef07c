//! The websocket `/api/events/in`: what a pong promises, and what a dropped connection leaves.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "support/websocket.rs"]
mod websocket;

use std::time::Duration;

use common::{
    App, Settings,
    domain::access::{Mode, Role, key},
    filter::EventFilter,
    model::Timestamp,
    settings::ServerLimits,
    store::event_query::Counting,
};
use embedded::faults::{Fault, Faults};
use futures::{SinkExt, StreamExt};
use proctor::keys::{self, Action};
use serde_json::json;
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::tungstenite::Message;
use uuid::Uuid;

use websocket::{Socket, authenticate, server_with};

/// Far above each time-out that a test sets, so that a busy machine fails none.
const PATIENCE: Duration = Duration::from_secs(8);

async fn server(faults: &Faults) -> (App, String) {
    server_with(Settings::default(), faults).await
}

async fn connect(address: &str) -> Socket {
    let mut socket = open(address).await;
    authenticate(&mut socket, None).await;
    socket
}

async fn open(address: &str) -> Socket {
    websocket::open(address, "/events/in").await
}

/// Reads until the server closes the connection; returns the code that it gives.
async fn closing_code(socket: &mut Socket) -> Option<u16> {
    while let Some(Ok(message)) = socket.next().await {
        if let Message::Close(frame) = message {
            return frame.map(|frame| frame.code.into());
        }
    }
    None
}

fn event(number: usize) -> Message {
    let event = json!({
        "occurred": Timestamp::now(),
        "event": "kettle.boiled",
        "resource": {"prefect.resource.id": format!("kettle.{number}")},
        "id": Uuid::new_v4(),
    });
    Message::text(event.to_string())
}

async fn count(app: &App) -> u64 {
    let mut filter = EventFilter::default();
    filter.resolve(Timestamp::now());
    app.store.read_events(&filter, None, 0, Counting::Ahead).await.unwrap().counted
}

#[tokio::test]
async fn a_pong_promises_that_everything_before_the_ping_is_kept() {
    let faults = Faults::on("BatchWriteItem");
    // More failures in a row than the SDK bears by itself.
    for _ in 0..5 {
        faults.then(Fault::InternalError);
    }
    let (app, address) = server(&faults).await;
    let mut socket = connect(&address).await;
    for number in 0..450 {
        socket.feed(event(number)).await.unwrap();
    }
    socket.send(Message::Ping("checkpoint".into())).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::Pong("checkpoint".into()));
    assert_eq!(count(&app).await, 450);
    assert_eq!(faults.left(), 0);
}

#[tokio::test]
async fn what_came_before_a_broken_message_is_kept() {
    let (app, address) = server(&Faults::default()).await;
    let mut socket = connect(&address).await;
    for number in 0..3 {
        socket.feed(event(number)).await.unwrap();
    }
    socket.send(Message::text("{}")).await.unwrap();
    match socket.next().await {
        None | Some(Err(_)) => {}
        Some(Ok(message)) => panic!("the connection went on: {message}"),
    }
    assert_eq!(count(&app).await, 3);
}

#[tokio::test]
async fn a_socket_ends_with_its_key_and_nothing_is_kept_of_what_comes_after() {
    let settings = Settings { access: Mode::Keys, key_memory: 0.0, ..Settings::default() };
    let (app, address) = server_with(settings, &Faults::default()).await;
    let create = Action::Create { role: Role::Worker, name: "worker".into(), expires_in: None };
    let text = keys::carry_out(&app.store, create).await.unwrap().to_string();
    let id = key::id(&text).unwrap();
    let mut socket = open(&address).await;
    authenticate(&mut socket, Some(&text)).await;
    socket.feed(event(1)).await.unwrap();
    socket.send(Message::Ping("checkpoint".into())).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::Pong("checkpoint".into()));
    keys::carry_out(&app.store, Action::Revoke { id }).await.unwrap();
    socket.send(event(2)).await.unwrap();
    assert_eq!(closing_code(&mut socket).await, Some(1008));
    assert_eq!(count(&app).await, 1);
}

fn impatient() -> Settings {
    let limits = ServerLimits {
        handshake_timeout: Duration::from_millis(500),
        ping_interval: Duration::from_millis(300),
        ..ServerLimits::default()
    };
    Settings { limits, ..Settings::default() }
}

#[tokio::test]
async fn an_idle_socket_ends_with_its_key() {
    let settings = Settings { access: Mode::Keys, key_memory: 0.0, ..impatient() };
    let (app, address) = server_with(settings, &Faults::default()).await;
    let create = Action::Create { role: Role::Worker, name: "worker".into(), expires_in: None };
    let text = keys::carry_out(&app.store, create).await.unwrap().to_string();
    let mut socket = open(&address).await;
    authenticate(&mut socket, Some(&text)).await;
    keys::carry_out(&app.store, Action::Revoke { id: key::id(&text).unwrap() }).await.unwrap();
    assert_eq!(timeout(PATIENCE, closing_code(&mut socket)).await.unwrap(), Some(1008));
}

#[tokio::test]
async fn who_does_not_authenticate_is_turned_away() {
    let (_, address) = server_with(impatient(), &Faults::default()).await;
    let mut socket = open(&address).await;
    assert_eq!(timeout(PATIENCE, closing_code(&mut socket)).await.unwrap(), Some(1008));
}

#[tokio::test]
async fn who_answers_no_ping_is_dropped_and_who_does_may_be_silent_for_long() {
    let (app, address) = server_with(impatient(), &Faults::default()).await;
    let (mut dead, mut alive) = (connect(&address).await, connect(&address).await);
    // Its pongs are sent while it waits for messages.
    let silence = timeout(Duration::from_secs(2), alive.by_ref().for_each(|_| std::future::ready(()))).await;
    assert!(silence.is_err(), "the connection ended");
    alive.send(event(1)).await.unwrap();
    alive.send(Message::Ping("checkpoint".into())).await.unwrap();
    while alive.next().await.unwrap().unwrap() != Message::Pong("checkpoint".into()) {}
    assert_eq!(count(&app).await, 1);
    let first = timeout(PATIENCE, dead.next()).await.unwrap().unwrap().unwrap();
    assert_eq!(first, Message::Ping("alive".into()));
    assert_eq!(timeout(PATIENCE, closing_code(&mut dead)).await.unwrap(), None, "the end without a word");
}

#[tokio::test]
async fn who_sends_a_large_message_slowly_is_not_silent() {
    let (app, address) = server_with(impatient(), &Faults::default()).await;
    let mut socket = connect(&address).await;
    let text = event(1).into_text().unwrap();
    let padded = format!("{text}{}", " ".repeat(60_000));
    let mut frame = vec![0x81, 0xff];
    frame.extend_from_slice(&u64::try_from(padded.len()).unwrap().to_be_bytes());
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(padded.as_bytes());
    for part in frame.chunks(frame.len() / 12) {
        tokio::time::sleep(Duration::from_millis(100)).await;
        tokio::io::AsyncWriteExt::write_all(socket.get_mut(), part).await.unwrap();
    }
    socket.send(Message::Ping("checkpoint".into())).await.unwrap();
    while socket.next().await.unwrap().unwrap() != Message::Pong("checkpoint".into()) {}
    assert_eq!(count(&app).await, 1);
}

#[tokio::test]
async fn messages_that_fill_the_memory_end_their_connections() {
    let limits = ServerLimits { megabytes_in_flight: 1, ..ServerLimits::default() };
    let (_, address) = server_with(Settings { limits, ..Settings::default() }, &Faults::default()).await;
    let mut ended = 0;
    let mut sockets = Vec::new();
    for _ in 0..4 {
        let mut socket = open(&address).await;
        // The head of a message of eight megabytes, and the first of them.
        let mut frame = vec![0x81, 0xff];
        frame.extend_from_slice(&8_000_000_u64.to_be_bytes());
        frame.extend_from_slice(&[0; 4]);
        frame.extend_from_slice(&vec![b' '; 1_000_000]);
        let _ = tokio::io::AsyncWriteExt::write_all(socket.get_mut(), &frame).await;
        sockets.push(socket);
    }
    for socket in &mut sockets {
        ended += usize::from(timeout(Duration::from_secs(1), closing_code(socket)).await.is_ok());
    }
    assert_eq!(ended, 3, "there is room for one");
}

#[tokio::test]
async fn nothing_is_there_for_other_requests() {
    let (_, address) = server(&Faults::default()).await;
    let mut stream = TcpStream::connect(&address).await.unwrap();
    let request = format!("GET /api/events/in HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    tokio::io::AsyncWriteExt::write_all(&mut stream, request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
}
