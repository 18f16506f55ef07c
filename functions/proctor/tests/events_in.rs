//! The websocket `/api/events/in`: what a pong promises, and what a dropped connection leaves.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use aws_sdk_dynamodb::Client;
use common::{App, Settings, Store, filter::EventFilter, model::Timestamp, store::event_query::Counting};
use embedded::{
    EmbeddedDatabase,
    faults::{Fault, Faults},
};
use futures::{SinkExt, StreamExt};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, client::IntoClientRequest, http::HeaderValue},
};
use uuid::Uuid;

type Socket = WebSocketStream<TcpStream>;

async fn server(faults: &Faults) -> (App, String) {
    let database = EmbeddedDatabase::in_memory().unwrap();
    let client = Client::from_conf(EmbeddedDatabase::config_with(faults.before(database.http_client())));
    let settings = Settings::default();
    let store = Store::new(client, &settings.table, settings.shards);
    store.create_table().await.unwrap();
    let app = App::new(store, settings);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(axum::serve(listener, proctor::app(app.clone())).into_future());
    (app, address)
}

async fn connect(address: &str) -> Socket {
    let mut request = format!("ws://{address}/api/events/in").into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("prefect"));
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut socket, _) = client_async(request, stream).await.unwrap();
    socket.send(Message::text(r#"{"type":"auth","token":null}"#)).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::text(r#"{"type":"auth_success"}"#));
    socket
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
async fn nothing_is_there_for_other_requests() {
    let (_, address) = server(&Faults::default()).await;
    let mut stream = TcpStream::connect(&address).await.unwrap();
    let request = format!("GET /api/events/in HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    tokio::io::AsyncWriteExt::write_all(&mut stream, request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
}
