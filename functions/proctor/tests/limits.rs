//! What a client leaves open ends by itself, and what all of them hold together is bounded.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod support;

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use common::{
    Store,
    model::{Flow, FlowId, Timestamp},
    settings::ServerLimits,
    store::Shards,
};
use embedded::EmbeddedDatabase;
use proctor::server;
use serde_json::json;
use support::{Server, request, rest_of, status};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    time::{sleep, timeout},
};

/// Far above each time-out that a test sets, so that a busy machine fails none.
const PATIENCE: Duration = Duration::from_secs(8);

fn server(variables: &[(&str, &str)]) -> Server {
    Server::start(&["--in-memory", "--no-services"], &[variables, &[("PREFECT_SERVER_LOGGING_LEVEL", "off")]].concat())
}

/// Waits until the server closes a connection; returns what it sent before.
async fn closed(stream: &mut TcpStream) -> String {
    timeout(PATIENCE, rest_of(stream)).await.expect("the connection stays open")
}

fn head(path: &str, length: usize) -> String {
    format!("POST {path} HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n")
}

/// Returns the body of a request for a flow that is `length` bytes long.
fn flow(name: &str, length: usize) -> String {
    let flow = format!(r#"{{"name": "{name}"}}"#);
    let spaces = " ".repeat(length - flow.len());
    flow + &spaces
}

/// Reads an answer on a connection that stays open, of which the end is known.
async fn answer(stream: &mut TcpStream, end: &str) -> String {
    let mut answer = String::new();
    let mut buffer = [0; 4096];
    while !answer.ends_with(end) {
        let length = timeout(PATIENCE, stream.read(&mut buffer)).await.unwrap().unwrap();
        assert_ne!(length, 0, "closed after {answer}");
        answer.push_str(&String::from_utf8_lossy(&buffer[..length]));
    }
    answer
}

#[tokio::test]
async fn who_sends_no_request_or_half_of_its_head_is_closed() {
    let server = server(&[("PREFECT_SERVER_API_KEEPALIVE_TIMEOUT", "1")]);
    let (mut silent, mut slow, mut idle) = (server.connect().await, server.connect().await, server.connect().await);
    slow.write_all(b"GET /api/health HTTP/1.1\r\nhost: te").await.unwrap();
    idle.write_all(request("GET", "/api/health", "", "").as_bytes()).await.unwrap();
    answer(&mut idle, "true").await;
    for stream in [&mut silent, &mut slow, &mut idle] {
        assert_eq!(closed(stream).await, "");
    }
}

#[tokio::test]
async fn a_body_may_be_slow_and_must_not_stand_still() {
    let server = server(&[("PROCTOR_BODY_TIMEOUT_SECONDS", "1")]);
    let mut stalled = server.connect().await;
    stalled.write_all(format!("{}{{", head("/api/flows/", 100)).as_bytes()).await.unwrap();
    let (mut reading, mut writing) = server.connect().await.into_split();
    writing.write_all(head("/api/flows/", 100_000).as_bytes()).await.unwrap();
    let trickle = tokio::spawn(async move {
        while writing.write_all(b" ").await.is_ok() {
            sleep(Duration::from_millis(50)).await;
        }
    });

    let mut slow = server.connect().await;
    let body = flow("slow", 160_000);
    slow.write_all(head("/api/flows/", body.len()).as_bytes()).await.unwrap();
    for part in body.as_bytes().chunks(20_000) {
        sleep(Duration::from_millis(300)).await;
        slow.write_all(part).await.unwrap();
    }
    assert_eq!(status(&answer(&mut slow, "}").await), 201, "two seconds and more, and none without progress");
    assert_eq!(status(&closed(&mut stalled).await), 408);
    let mut answer = Vec::new();
    let _ = timeout(PATIENCE, reading.read_to_end(&mut answer)).await.expect("a trickle goes on");
    assert_eq!(status(&String::from_utf8_lossy(&answer)), 408);
    trickle.abort();
}

/// Connects a client of which the kernel takes as little as it can before it is read.
async fn narrow(server: &Server) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(server.address).await.unwrap()
}

/// Adds runs whose list is about four megabytes long.
async fn add_large_runs(server: &Server) {
    let (_, answer) = server.ask("POST", "/api/flows/", r#"{"name": "large"}"#).await;
    let id = answer.split(r#""id":""#).nth(1).unwrap().split('"').next().unwrap();
    let run = format!(r#"{{"flow_id": "{id}", "parameters": {{"x": "{}"}}}}"#, "x".repeat(100_000));
    for _ in 0..40 {
        assert_eq!(server.ask("POST", "/api/flow_runs/", &run).await.0, 201);
    }
}

#[tokio::test]
async fn answers_that_nobody_reads_are_given_up_and_never_fill_the_memory() {
    let variables = [
        ("PROCTOR_WRITE_TIMEOUT_SECONDS", "1"),
        // What fits into the buffers of the kernel is written, and its connection is idle.
        ("PREFECT_SERVER_API_KEEPALIVE_TIMEOUT", "1"),
        ("PROCTOR_MEGABYTES_IN_FLIGHT", "16"),
    ];
    let server = server(&variables);
    add_large_runs(&server).await;
    let before = server.resident_megabytes();
    let list = request("POST", "/api/flow_runs/filter", "", "{}");
    let mut unread = Vec::new();
    for _ in 0..100 {
        let mut stream = narrow(&server).await;
        stream.write_all(list.as_bytes()).await.unwrap();
        unread.push(stream);
    }
    let (begin, mut most) = (Instant::now(), 0);
    loop {
        most = most.max(server.resident_megabytes());
        assert_eq!(server.ask("GET", "/api/health", "").await.0, 200);
        let open = server.open_connections();
        if open == 0 || begin.elapsed() > 6 * PATIENCE {
            assert_eq!(open, 0, "connections are still open");
            break;
        }
        // Who is told to come back leaves, and the others read no more than that they are not.
        let mut still = Vec::new();
        for stream in unread {
            let mut start = [0; 12];
            let peeked = timeout(Duration::from_millis(1), stream.peek(&mut start)).await;
            if !matches!(peeked, Ok(Ok(12)) if start.ends_with(b"503")) {
                still.push(stream);
            }
        }
        unread = still;
        sleep(Duration::from_millis(100)).await;
    }
    // All answers together would be 1,500 MB.
    assert!(most < before + 150, "{most} MB, {before} MB before");
    assert_eq!(server.ask("POST", "/api/flow_runs/filter", "{}").await.0, 200);
}

#[tokio::test]
async fn an_answer_may_be_read_slowly() {
    let server = server(&[("PROCTOR_WRITE_TIMEOUT_SECONDS", "1")]);
    add_large_runs(&server).await;
    let mut stream = narrow(&server).await;
    stream.write_all(request("POST", "/api/flow_runs/filter", "connection: close\r\n", "{}").as_bytes()).await.unwrap();
    let (begin, mut read, mut buffer) = (Instant::now(), 0, vec![0; 256 * 1024]);
    loop {
        sleep(Duration::from_millis(200)).await;
        match stream.read_exact(&mut buffer).await {
            Ok(length) => read += length,
            Err(error) => {
                assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
                break;
            }
        }
    }
    assert!(read > 3_500_000, "{read} bytes came");
    assert!(begin.elapsed() > Duration::from_millis(1_500));
}

#[tokio::test]
async fn beyond_the_most_connections_only_probes_are_answered() {
    let server = server(&[("PROCTOR_CONNECTIONS", "3")]);
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut stream = server.connect().await;
        stream.write_all(request("GET", "/api/health", "", "").as_bytes()).await.unwrap();
        answer(&mut stream, "true").await;
        held.push(stream);
    }
    for probe in ["/api/health", "/api/ready"] {
        assert_eq!(server.ask("GET", probe, "").await.0, 200);
    }
    let (refused, answer) = server.ask("GET", "/api/hello", "").await;
    assert_eq!(refused, 503);
    assert!(answer.contains("retry-after: 1") && answer.contains("connection: close"), "{answer}");
    // Some hold a connection and send nothing; they are closed soon, and all of them together keep no probe out.
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(server.connect().await);
    }
    assert_eq!(server.ask("GET", "/api/health", "").await.0, 200);
    for stream in &mut silent {
        assert_eq!(closed(stream).await, "");
    }
    held.pop();
    server.wait_for("/api/hello", 200).await;
}

#[tokio::test]
async fn beyond_the_most_bytes_large_bodies_wait_outside_and_small_ones_pass() {
    let server = server(&[("PROCTOR_MEGABYTES_IN_FLIGHT", "1")]);
    let mut large = server.connect().await;
    large.write_all(head("/api/flows/", 3_000_000).as_bytes()).await.unwrap();
    large.write_all(&vec![b' '; 1_100_000]).await.unwrap();
    // Before it is read as far as it came, there is still room.
    sleep(Duration::from_secs(1)).await;
    let body = flow("other", 300_000);
    let (status, answer) = server.ask("POST", "/api/flows/", &body).await;
    assert!(status == 503 && answer.contains("retry-after: 1"), "{answer}");
    assert_eq!(server.ask("POST", "/api/flows/", &flow("small", 1_000)).await.0, 201);
    drop(large);
    let deadline = Instant::now() + PATIENCE;
    while server.ask("POST", "/api/flows/", &flow("third", 300_000)).await.0 != 201 {
        assert!(Instant::now() < deadline, "the room is not free again");
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_stop_waits_for_open_requests_and_for_no_idle_connection() {
    let server = server(&[]);
    let (mut idle, mut open) = (server.connect().await, server.connect().await);
    idle.write_all(request("GET", "/api/health", "", "").as_bytes()).await.unwrap();
    answer(&mut idle, "true").await;
    let body = flow("last", 1_000);
    open.write_all(head("/api/flows/", body.len()).as_bytes()).await.unwrap();
    open.write_all(&body.as_bytes()[..500]).await.unwrap();
    sleep(Duration::from_millis(300)).await;
    let address = server.address;
    let stopping = tokio::task::spawn_blocking(move || server.stop());
    assert_eq!(closed(&mut idle).await, "");
    assert!(TcpStream::connect(address).await.is_err(), "nobody else is let in");
    open.write_all(&body.as_bytes()[500..]).await.unwrap();
    assert_eq!(status(&closed(&mut open).await), 201);
    assert!(stopping.await.unwrap() < Duration::from_secs(3));
}

/// Serves a database within limits that are soon met; returns its address.
async fn served_database() -> (SocketAddr, EmbeddedDatabase) {
    let limits = ServerLimits {
        connections: 2,
        idle_timeout: Duration::from_secs(1),
        body_timeout: Duration::from_secs(1),
        ..ServerLimits::default()
    };
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let database = EmbeddedDatabase::in_memory().unwrap();
    tokio::spawn(server::serve_database(listener, database.clone(), limits, std::future::pending()));
    (address, database)
}

#[tokio::test]
async fn the_database_is_served_to_functions() {
    let (address, database) = served_database().await;
    let client = aws_sdk_dynamodb::Client::from_conf(database.sdk_config());
    let store = Store::new(client, "proctor-records", Shards(1));
    store.create_table().await.unwrap();
    let (flow, _) = store.add_flow(Flow::new(FlowId::new(), "served", Timestamp::now())).await.unwrap();
    let key = json!({"pk": {"S": format!("flow#{}", flow.id)}, "sk": {"S": "flow"}});
    let body = json!({"TableName": "proctor-records", "Key": key}).to_string();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let target = "x-amz-target: DynamoDB_20120810.GetItem\r\nconnection: close\r\n";
    stream.write_all(request("POST", "/", target, &body).as_bytes()).await.unwrap();
    let answer = closed(&mut stream).await;
    assert!(status(&answer) == 200 && answer.contains("served"), "{answer}");
}

#[tokio::test]
async fn who_leaves_the_database_waiting_is_closed() {
    let (address, _) = served_database().await;
    let mut silent = TcpStream::connect(address).await.unwrap();
    let mut slow = TcpStream::connect(address).await.unwrap();
    slow.write_all(head("/", 1_000).as_bytes()).await.unwrap();
    sleep(Duration::from_millis(200)).await;
    let mut beyond = TcpStream::connect(address).await.unwrap();
    beyond.write_all(request("POST", "/", "", "{}").as_bytes()).await.unwrap();
    assert_eq!(status(&closed(&mut beyond).await), 503);
    assert_eq!(closed(&mut silent).await, "");
    assert_eq!(status(&closed(&mut slow).await), 408);
}
