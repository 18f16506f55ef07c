//! The websocket `/api/events/in`: what a pong promises, and what a dropped connection leaves.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use aws_sdk_dynamodb::Client;
use common::{
    App, Settings, Store,
    domain::access::{Mode, Role, key},
    filter::EventFilter,
    model::Timestamp,
    store::event_query::Counting,
};
use embedded::{
    EmbeddedDatabase,
    faults::{Fault, Faults},
};
use futures::{SinkExt, StreamExt};
use proctor::keys::{self, Action};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, client::IntoClientRequest, http::HeaderValue},
};
use uuid::Uuid;

type Socket = WebSocketStream<TcpStream>;

async fn server(faults: &Faults) -> (App, String) {
    server_with(Settings::default(), faults).await
}

async fn server_with(settings: Settings, faults: &Faults) -> (App, String) {
    let database = EmbeddedDatabase::in_memory().unwrap();
    let client = Client::from_conf(EmbeddedDatabase::config_with(faults.before(database.http_client())));
    let store = Store::new(client, &settings.table, settings.shards);
    store.create_table().await.unwrap();
    let app = App::new(store, settings);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(axum::serve(listener, proctor::app(app.clone())).into_future());
    (app, address)
}

async fn connect(address: &str) -> Socket {
    let mut socket = open(address).await;
    authenticate(&mut socket, None).await;
    socket
}

async fn authenticate(socket: &mut Socket, token: Option<&str>) {
    socket.send(Message::text(json!({"type": "auth", "token": token}).to_string())).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::text(r#"{"type":"auth_success"}"#));
}

async fn open(address: &str) -> Socket {
    let mut request = format!("ws://{address}/api/events/in").into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("prefect"));
    let stream = TcpStream::connect(address).await.unwrap();
    client_async(request, stream).await.unwrap().0
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
    let text = keys::carry_out(&app.store, create).await.unwrap();
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
