//! A relay before functions that a test writes: what clients, functions and whoever is hostile see of it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    body::Body,
    http::{Method, Request, StatusCode, header::SEC_WEBSOCKET_PROTOCOL},
};
use bytes::Bytes;
use clap::Parser;
use client::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Error, Message, client::IntoClientRequest, protocol::CloseFrame},
};
use common::{
    access::{Reading, SecretSource, StoredSecret},
    domain::access::Secret,
    lambda::SocketRoute,
    runtime::invoke::NotInvoked,
    socket::handshake::SUCCESS,
};
use futures::{SinkExt, StreamExt, future::BoxFuture};
use http_body_util::BodyExt;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use relay::{Options, Relay, functions::Functions, serve};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinHandle,
    time::{sleep, timeout},
};

const PATIENCE: Duration = Duration::from_secs(20);

/// Functions that write down what they are told, and answer as a test says.
#[derive(Clone, Debug)]
struct Told {
    events: Arc<Mutex<Vec<(SocketRoute, Value)>>>,
    connect: Result<Value, NotInvoked>,
}

impl Default for Told {
    fn default() -> Self {
        let opened = json!({ "statusCode": 200, "headers": { "Sec-WebSocket-Protocol": "prefect" } });
        Self { events: Arc::default(), connect: Ok(opened) }
    }
}

impl Functions for Told {
    fn invoke(&self, route: SocketRoute, event: Bytes) -> BoxFuture<'_, Result<Value, NotInvoked>> {
        Box::pin(async move {
            let event: Value = serde_json::from_slice(&event).unwrap();
            let body = event["body"].as_str().unwrap_or_default().to_owned();
            self.events.lock().unwrap().push((route, event));
            match (route, body.as_str()) {
                (SocketRoute::Connect, _) => {
                    sleep(Duration::from_millis(20)).await;
                    self.connect.clone()
                }
                (_, "auth") => Ok(json!({ "statusCode": 200, "body": SUCCESS })),
                (_, "wrong") => Ok(json!({ "statusCode": 200, "body": "no" })),
                (_, "fail") => Err(NotInvoked::Failed("it panics".into())),
                (_, "throttle") => Err(NotInvoked::Throttled),
                (_, "refuse") => Ok(json!({ "statusCode": 500 })),
                (_, body) if body.starts_with("wait") => {
                    sleep(Duration::from_millis(100)).await;
                    Ok(json!({ "statusCode": 200, "body": body }))
                }
                _ => Ok(json!({ "statusCode": 200 })),
            }
        })
    }
}

impl Told {
    fn of(&self, route: SocketRoute) -> Vec<Value> {
        let events = self.events.lock().unwrap();
        events.iter().filter(|(told, _)| *told == route).map(|(_, event)| event.clone()).collect()
    }

    fn messages(&self) -> Vec<String> {
        self.of(SocketRoute::Message).iter().map(|event| event["body"].as_str().unwrap().to_owned()).collect()
    }

    /// Waits for as many ends of connections, and returns their codes.
    async fn ends(&self, count: usize) -> Vec<u64> {
        let ended = async {
            while self.of(SocketRoute::Disconnect).len() < count {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, ended).await.unwrap();
        let code = |event: &Value| event["requestContext"]["disconnectStatusCode"].as_u64().unwrap();
        self.of(SocketRoute::Disconnect).iter().map(code).collect()
    }
}

#[derive(Debug)]
struct Known;

impl SecretSource for Known {
    fn read(&self) -> Reading<'_> {
        Box::pin(async { Ok(vec![Secret("right".into())]) })
    }
}

/// A relay that runs.
struct Running {
    address: SocketAddr,
    told: Told,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<()>,
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

impl Running {
    async fn before(told: Told, options: &[&str]) -> Self {
        let all = ["relay", "--functions", "f-", "--secret", "s"].iter().chain(options);
        let options = Options::parse_from(all);
        let secret = StoredSecret::read(Box::new(Known)).await.unwrap();
        let relay = Arc::new(Relay::new(Box::new(told.clone()), secret, options));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let served = tokio::spawn(async move { serve(listener, relay, async { drop(stopped.await) }).await });
        Self { address, told, stop: Some(stop), served }
    }

    async fn start() -> Self {
        Self::before(Told::default(), &[]).await
    }

    async fn ask(&self) -> Result<Socket, Error> {
        let mut request = format!("ws://{}/api/events/in", self.address).into_client_request().unwrap();
        request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, "prefect".parse().unwrap());
        connect_async(request).await.map(|(socket, _)| socket)
    }

    /// Opens a connection whose client is let in; returns its id as well.
    async fn open(&self) -> (Socket, String) {
        let mut socket = self.ask().await.unwrap();
        let id = self.id(self.told.of(SocketRoute::Connect).len() - 1);
        socket.send("auth".into()).await.unwrap();
        assert_eq!(text(&mut socket).await, SUCCESS);
        (socket, id)
    }

    fn id(&self, place: usize) -> String {
        let event = &self.told.of(SocketRoute::Connect)[place];
        event["requestContext"]["connectionId"].as_str().unwrap().to_owned()
    }

    /// Calls the relay as a function does, which shows `secret`.
    async fn call(&self, method: Method, id: &str, secret: &str, body: impl Into<Body>) -> (StatusCode, String) {
        let request = Request::builder()
            .method(method)
            .uri(format!("http://{}/relay/@connections/{id}", self.address))
            .header("x-proctor-relay", secret)
            .body(body.into())
            .unwrap();
        let response = Client::builder(TokioExecutor::new()).build_http().request(request).await.unwrap();
        let (parts, body) = response.into_parts();
        drop(body.collect().await);
        let kind = parts.headers.get("x-amzn-errortype").map(|kind| kind.to_str().unwrap().to_owned());
        (parts.status, kind.unwrap_or_default())
    }

    async fn post(&self, id: &str, text: &str) -> StatusCode {
        self.call(Method::POST, id, "right", text.to_owned()).await.0
    }

    async fn end(mut self) {
        drop(self.stop.take());
        timeout(PATIENCE, self.served).await.unwrap().unwrap();
    }
}

async fn next(socket: &mut Socket) -> Option<Result<Message, Error>> {
    timeout(PATIENCE, socket.next()).await.unwrap()
}

async fn text(socket: &mut Socket) -> String {
    match next(socket).await {
        Some(Ok(Message::Text(text))) => text.to_string(),
        other => panic!("{other:?}"),
    }
}

/// Waits for the close frame, and returns its code.
async fn code(socket: &mut Socket) -> u16 {
    loop {
        match next(socket).await {
            Some(Ok(Message::Close(Some(CloseFrame { code, .. })))) => return code.into(),
            Some(Ok(_)) => {}
            other => panic!("{other:?}"),
        }
    }
}

fn status(refused: Result<Socket, Error>) -> u16 {
    match refused {
        Err(Error::Http(response)) => response.status().as_u16(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn messages_are_taken_one_after_the_other_and_answers_are_sent() {
    let running = Running::start().await;
    let (mut socket, id) = running.open().await;
    let large = "x".repeat(600_000);
    for message in ["wait 1", "2", "wait 3", &large] {
        socket.send(message.into()).await.unwrap();
    }
    socket.send(Message::Ping("all".into())).await.unwrap();
    assert_eq!((text(&mut socket).await, text(&mut socket).await), ("wait 1".into(), "wait 3".into()));
    // The pong is the confirmation that what was sent before is durable.
    assert_eq!(next(&mut socket).await.unwrap().unwrap(), Message::Pong("all".into()));
    assert_eq!(running.told.messages(), ["auth", "wait 1", "2", "wait 3", &large]);
    socket.close(None).await.unwrap();
    assert_eq!(running.told.ends(1).await, [1006]);
    let all = running.told.events.lock().unwrap().clone();
    assert!(all.iter().all(|(_, event)| event["requestContext"]["connectionId"] == id.as_str()));
    assert_eq!(running.post(&id, "too late").await, StatusCode::GONE);
}

#[tokio::test]
async fn a_connection_has_the_path_and_the_credentials_that_its_client_came_with() {
    let running = Running::start().await;
    running.open().await;
    let event = &running.told.of(SocketRoute::Connect)[0];
    assert_eq!(event["queryStringParameters"]["path"], "/api/events/in");
    assert_eq!(event["headers"]["sec-websocket-protocol"], "prefect");
    assert_eq!(event["requestContext"]["identity"]["sourceIp"], "127.0.0.1");
    assert!(running.id(0).starts_with("relay."));
}

#[tokio::test]
async fn what_the_functions_refuse_is_refused() {
    let refusing = |connect| Told { connect, ..Told::default() };
    for (connect, expected) in [
        (Ok(json!({ "statusCode": 403 })), 403),
        (Ok(json!({ "nothing": true })), 502),
        (Err(NotInvoked::Failed("it panics".into())), 502),
        (Err(NotInvoked::Throttled), 503),
    ] {
        let running = Running::before(refusing(connect), &[]).await;
        assert_eq!(status(running.ask().await), expected);
        assert_eq!(running.post(&running.id(0), "text").await, StatusCode::GONE);
        assert!(running.told.of(SocketRoute::Disconnect).is_empty(), "there was no connection");
    }
}

#[tokio::test]
async fn what_asks_for_no_websocket_invokes_nothing() {
    let running = Running::start().await;
    for path in ["/", "/api/events/in", "/websockets", "/relay/@connections"] {
        let request = Request::get(format!("http://{}{path}", running.address)).body(Body::empty()).unwrap();
        let response = Client::builder(TokioExecutor::new()).build_http().request(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
    }
    let health = Request::get(format!("http://{}/health", running.address)).body(Body::empty()).unwrap();
    let response = Client::builder(TokioExecutor::new()).build_http::<Body>().request(health).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let other = format!("ws://{}/apis/events/in", running.address).into_client_request().unwrap();
    assert_eq!(status(connect_async(other).await.map(|(socket, _)| socket)), 404);
    assert!(running.told.of(SocketRoute::Connect).is_empty());
}

#[tokio::test]
async fn a_function_that_fails_ends_the_connection_so_that_its_client_sends_again() {
    let running = Running::start().await;
    for (message, expected) in [("fail", 1011), ("refuse", 1011), ("throttle", 1013)] {
        let (mut socket, _) = running.open().await;
        socket.send(message.into()).await.unwrap();
        assert_eq!(code(&mut socket).await, expected, "{message}");
    }
    assert_eq!(running.told.ends(3).await.len(), 3);
}

#[tokio::test]
async fn functions_reach_a_client_until_it_is_gone() {
    let running = Running::start().await;
    let (mut socket, id) = running.open().await;
    for (place, letter) in ["one", "two"].into_iter().enumerate() {
        assert_eq!(running.post(&id, letter).await, StatusCode::OK, "{place}");
    }
    assert_eq!(running.call(Method::GET, &id, "right", "").await.0, StatusCode::OK);
    let large = "y".repeat(2_000_000);
    assert_eq!(running.post(&id, &large).await, StatusCode::OK);
    assert_eq!(running.call(Method::DELETE, &id, "right", "").await.0, StatusCode::NO_CONTENT);
    let heard = (text(&mut socket).await, text(&mut socket).await, text(&mut socket).await);
    assert_eq!(heard, ("one".into(), "two".into(), large), "what was sent before the end comes before it");
    assert_eq!(code(&mut socket).await, 1013);
    for method in [Method::POST, Method::GET, Method::DELETE] {
        let answered = running.call(method, &id, "right", "text").await;
        assert_eq!(answered, (StatusCode::GONE, "GoneException".into()));
    }
    assert_eq!(running.told.ends(1).await, [1013]);
}

#[tokio::test]
async fn who_does_not_show_the_secret_reaches_nobody() {
    let running = Running::start().await;
    let (mut socket, id) = running.open().await;
    for wrong in ["", "r", "Right", "rightt", "wrong"] {
        for (method, id) in [(Method::POST, &*id), (Method::GET, &id), (Method::DELETE, &id), (Method::POST, "relay.0")]
        {
            let answered = running.call(method, id, wrong, "a lie").await;
            assert_eq!(answered, (StatusCode::FORBIDDEN, "ForbiddenException".into()), "{wrong}");
        }
    }
    assert_eq!(running.post(&id, "the truth").await, StatusCode::OK);
    assert_eq!(text(&mut socket).await, "the truth");
}

#[tokio::test]
async fn what_is_too_large_or_no_text_is_not_sent() {
    let running = Running::start().await;
    let (mut socket, id) = running.open().await;
    let too_large = "x".repeat(3 * 1024 * 1024 + 1);
    assert_eq!(running.post(&id, &too_large).await, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(running.call(Method::POST, &id, "right", vec![0xff, 0xfe]).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(running.post(&id, "well").await, StatusCode::OK);
    assert_eq!(text(&mut socket).await, "well");
}

#[tokio::test]
async fn a_client_that_reads_too_slowly_is_cut_and_others_are_not() {
    let running = Running::before(Told::default(), &["--write-seconds", "2"]).await;
    let ((_slow, slow), (mut other, id)) = (running.open().await, running.open().await);
    let large = "x".repeat(1024 * 1024);
    let mut taken = 0;
    while running.post(&slow, &large).await == StatusCode::OK {
        taken += 1;
        assert!(taken < 64, "nothing bounds what waits");
    }
    assert_eq!(running.post(&slow, "one more").await, StatusCode::GONE);
    assert_eq!(running.post(&id, "for the other").await, StatusCode::OK);
    assert_eq!(text(&mut other).await, "for the other");
    assert_eq!(running.told.ends(1).await, [1013]);
}

#[tokio::test]
async fn where_all_that_waits_fills_the_memory_functions_are_told_to_try_again() {
    let running = Running::before(Told::default(), &["--megabytes", "8"]).await;
    let large = "x".repeat(3 * 1024 * 1024);
    let (mut clients, mut refused) = (Vec::new(), 0);
    for _ in 0..6 {
        let (socket, id) = running.open().await;
        let mut taken = 0;
        for _ in 0..2 {
            match running.call(Method::POST, &id, "right", large.clone()).await {
                (StatusCode::OK, _) => taken += 1,
                answered => {
                    assert_eq!(answered, (StatusCode::TOO_MANY_REQUESTS, "LimitExceededException".into()));
                    refused += 1;
                }
            }
        }
        clients.push((socket, id, taken));
    }
    assert!(refused > 0, "nothing bounds what waits");
    for (socket, id, taken) in &mut clients {
        for _ in 0..*taken {
            assert_eq!(text(socket).await.len(), large.len());
        }
        assert_eq!(running.post(id, "there is room").await, StatusCode::OK);
        assert_eq!(text(socket).await, "there is room");
    }
}

#[tokio::test]
async fn an_idle_client_stays_as_long_as_it_answers_pings() {
    let running = Running::before(Told::default(), &["--ping-seconds", "1"]).await;
    let ((mut idle, id), (dead, _)) = (running.open().await, running.open().await);
    let mut pings = 0;
    let seen = timeout(Duration::from_secs(5), async {
        while let Some(Ok(message)) = idle.next().await {
            pings += usize::from(message.is_ping());
        }
    });
    assert!(seen.await.is_err(), "it has not ended");
    assert!(pings >= 3, "{pings}");
    assert_eq!(running.told.ends(1).await, [1006], "the one that does not answer is gone");
    assert_eq!(running.post(&id, "still there").await, StatusCode::OK);
    assert_eq!(text(&mut idle).await, "still there");
    drop(dead);
}

#[tokio::test]
async fn who_does_not_say_who_it_is_does_not_stay() {
    let running = Running::before(Told::default(), &["--handshake-seconds", "1", "--ping-seconds", "1"]).await;
    let mut silent = running.ask().await.unwrap();
    assert_eq!(code(&mut silent).await, 1008);
    let mut wrong = running.ask().await.unwrap();
    wrong.send("wrong".into()).await.unwrap();
    assert_eq!(text(&mut wrong).await, "no", "it hears why");
    assert_eq!(code(&mut wrong).await, 1008);
    assert_eq!(running.told.ends(2).await, [1008, 1008]);
}

#[tokio::test]
async fn beyond_the_limit_nobody_is_let_in_until_somebody_leaves() {
    let running = Running::before(Told::default(), &["--connections", "2"]).await;
    let ((first, _), (_second, _)) = (running.open().await, running.open().await);
    assert_eq!(status(running.ask().await), 503);
    assert_eq!(running.told.of(SocketRoute::Connect).len(), 2, "no function is asked");
    drop(first);
    running.told.ends(1).await;
    running.open().await;
}

#[tokio::test]
async fn at_its_end_the_relay_sends_clients_away_to_come_again_and_tells_functions() {
    let running = Running::start().await;
    let ((mut one, id), (mut other, _)) = (running.open().await, running.open().await);
    running.post(&id, "before the end").await;
    let told = running.told.clone();
    let (address, ended) = (running.address, tokio::spawn(running.end()));
    assert_eq!(text(&mut one).await, "before the end");
    assert_eq!((code(&mut one).await, code(&mut other).await), (1012, 1012));
    while one.next().await.is_some() {}
    while other.next().await.is_some() {}
    ended.await.unwrap();
    assert_eq!(told.ends(2).await, [1012, 1012]);
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_client_that_leaves_before_it_is_let_in_is_told_of_as_gone() {
    let running = Running::start().await;
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream.write_all(upgrade().as_bytes()).await.unwrap();
    while running.told.of(SocketRoute::Connect).is_empty() {
        sleep(Duration::from_millis(1)).await;
    }
    drop(stream);
    assert_eq!(running.told.ends(1).await, [1006]);
    assert_eq!(running.post(&running.id(0), "text").await, StatusCode::GONE);
}

fn upgrade() -> String {
    "GET /api/events/in HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
     sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
     sec-websocket-protocol: prefect\r\n\r\n"
        .to_owned()
}

/// Sends bytes through a connection whose client is let in; returns the code of the close frame that comes.
async fn code_for(running: &Running, bytes: &[u8]) -> u16 {
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    let auth = [&[0x81, 0x84, 0, 0, 0, 0], "auth".as_bytes()].concat();
    stream.write_all(&[upgrade().as_bytes(), &auth].concat()).await.unwrap();
    let mut read = Vec::new();
    while !read.ends_with(SUCCESS.as_bytes()) {
        assert_ne!(timeout(PATIENCE, stream.read_buf(&mut read)).await.unwrap().unwrap(), 0);
    }
    read.clear();
    // The relay may close the connection before it has read all.
    let _ = stream.write_all(bytes).await;
    while read.len() < 4 {
        assert_ne!(timeout(PATIENCE, stream.read_buf(&mut read)).await.unwrap().unwrap(), 0, "it hears nothing");
    }
    assert_eq!(read[0], 0x88, "{read:x?}");
    u16::from_be_bytes([read[2], read[3]])
}

#[tokio::test]
async fn hostile_frames_end_their_connection_alone() {
    let running = Running::start().await;
    let (mut well, _) = running.open().await;
    let masked = |first: u8, payload: &[u8]| {
        let length = u8::try_from(payload.len()).unwrap() | 0x80;
        [&[first, length, 0, 0, 0, 0], payload].concat()
    };
    let announcing = |length: u64| [&[0x81, 0xff][..], &length.to_be_bytes(), &[0; 4], &[b'x'; 1024]].concat();
    let cases = [
        ("not masked", [&[0x81, 4], "auth".as_bytes()].concat(), 1002),
        ("a reserved opcode", masked(0x83, b"x"), 1002),
        ("a reserved bit", masked(0xc1, b"x"), 1002),
        ("a continuation of nothing", masked(0x80, b"x"), 1002),
        ("a ping in parts", masked(0x09, b"x"), 1002),
        ("binary", masked(0x82, b"x"), 1003),
        ("no UTF-8", masked(0x81, &[0xff]), 1007),
        ("one byte more than 6 MB", announcing(6 * 1024 * 1024 + 1), 1009),
        ("more than there is", announcing(u64::MAX >> 1), 1009),
    ];
    let count = cases.len();
    for (name, bytes, expected) in cases {
        assert_eq!(code_for(&running, &bytes).await, expected, "{name}");
    }
    assert_eq!(running.told.ends(count).await.len(), count);
    well.send("wait".into()).await.unwrap();
    assert_eq!(text(&mut well).await, "wait");
}

#[tokio::test]
async fn a_message_that_grows_too_large_in_the_event_is_refused() {
    let running = Running::start().await;
    let (mut socket, _) = running.open().await;
    // Each quote takes two bytes in JSON.
    socket.send("\"".repeat(4 * 1024 * 1024).into()).await.unwrap();
    assert_eq!(code(&mut socket).await, 1009);
    assert_eq!(running.told.messages(), ["auth"]);
}

#[tokio::test]
async fn what_many_clients_begin_to_send_is_bounded() {
    let running = Running::before(Told::default(), &["--megabytes", "8"]).await;
    let begun = "x".repeat(4 * 1024 * 1024);
    let part = [&[0x81, 0xff][..], &(5_u64 * 1024 * 1024).to_be_bytes(), &[0; 4], begun.as_bytes()].concat();
    let mut streams = Vec::new();
    for _ in 0..4 {
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        stream.write_all(upgrade().as_bytes()).await.unwrap();
        let _ = timeout(Duration::from_secs(5), stream.write_all(&part)).await;
        streams.push(stream);
    }
    assert!(running.told.ends(1).await.len() < 4, "what is beyond the bound is cut, and the rest goes on");
    let (mut well, _) = running.open().await;
    well.send("wait".into()).await.unwrap();
    assert_eq!(text(&mut well).await, "wait", "small messages find room");
}
