//! Calls a server on this machine: time-outs, long answers, redirects, certificates, and addresses that may not be
//! called.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{
    future::Future,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use outbound::{ANSWER_LIMIT, CallError, Outbound, Payload, REQUEST_LIMIT, Reach};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;
use uuid::Uuid;

use support::acceptor;

const INVOCATION: Uuid = Uuid::from_u128(7);

/// What a server does with a connection after it has read the request.
#[derive(Clone)]
enum Behaviour {
    /// Answers the first connection with the first of these, and so on.
    Answers(Vec<&'static str>),
    /// Says nothing, and keeps the connection.
    Silence,
    /// Begins an answer and sends a byte of it now and then, without end.
    Drip,
    /// Sends an answer without end, as fast as it is read.
    Flood,
    /// Closes the connection in the middle of the answer.
    Close,
}

/// A server for one test; it ends with the test's runtime.
struct Server {
    address: SocketAddr,
    /// The text of each request that it got.
    seen: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start(behaviour: Behaviour) -> Self {
        Self::start_with(behaviour, None).await
    }

    async fn start_with(behaviour: Behaviour, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let noted = seen.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (behaviour, noted, tls) = (behaviour.clone(), noted.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, behaviour, noted).await,
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => serve(stream, behaviour, noted).await,
                            Err(_) => noted.lock().unwrap().push("no handshake".to_owned()),
                        },
                    }
                });
            }
        });
        Self { address, seen }
    }

    fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, behaviour: Behaviour, noted: Arc<Mutex<Vec<String>>>) {
    let request = read_request(&mut stream).await;
    let number = {
        let mut noted = noted.lock().unwrap();
        noted.push(request);
        noted.len() - 1
    };
    let begin = "HTTP/1.1 200 OK\r\n\r\n";
    match behaviour {
        Behaviour::Answers(answers) => {
            stream.write_all(answers[number.min(answers.len() - 1)].as_bytes()).await.ok();
            stream.shutdown().await.ok();
        }
        Behaviour::Silence => tokio::time::sleep(Duration::from_mins(1)).await,
        Behaviour::Drip => {
            let mut text = begin;
            while stream.write_all(text.as_bytes()).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(50)).await;
                text = "x";
            }
        }
        Behaviour::Flood => {
            stream.write_all(begin.as_bytes()).await.ok();
            while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
        }
        Behaviour::Close => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nabc").await.ok();
            stream.shutdown().await.ok();
        }
    }
}

async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut read = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&read).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return text;
            }
        }
        let mut some = [0; 4096];
        match stream.read(&mut some).await {
            Ok(0) | Err(_) => return text,
            Ok(count) => read.extend_from_slice(&some[..count]),
        }
    }
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

fn within_this_machine() -> Outbound {
    Outbound::new(Reach::Loopback)
}

/// A custom webhook that waits for a third of a second.
fn hasty(server: &Server) -> Value {
    json!({"name": "ours", "url": server.url(), "timeout": 0.3})
}

async fn timed<T>(call: impl Future<Output = T>) -> (T, Duration) {
    let begin = Instant::now();
    (call.await, begin.elapsed())
}

#[tokio::test]
async fn a_webhook_gets_its_payload_and_a_key_that_tells_a_call_that_comes_again() {
    let server =
        Server::start(Behaviour::Answers(vec!["HTTP/1.1 500 No\r\nX-Way: Back\r\ncontent-length: 4\r\n\r\nBöy"])).await;
    let data = json!({"url": server.url(), "headers": {"X-Token": "t0k3n"}});
    let answer = within_this_machine().call_webhook(&data, Payload::Text("Größe"), INVOCATION).await.unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (500, "Böy"));
    assert!(answer.headers.contains(&("x-way".to_owned(), "Back".to_owned())));
    let seen = server.seen().remove(0);
    let host = format!("host: {}\r\n", server.address);
    let key = format!("idempotency-key: {INVOCATION}\r\n");
    for part in ["POST /hook HTTP/1.1\r\n", &host, &key, "x-token: t0k3n\r\n", "content-length: 7\r\n", "\r\n\r\nGröße"]
    {
        assert!(seen.contains(part), "{part:?} in {seen:?}");
    }
}

#[tokio::test]
async fn an_empty_payload_has_a_length() {
    let server = Server::start(Behaviour::Answers(vec![OK])).await;
    let data = json!({"url": server.url()});
    within_this_machine().call_webhook(&data, Payload::Empty, INVOCATION).await.unwrap();
    assert!(server.seen()[0].contains("content-length: 0\r\n"), "{:?}", server.seen());
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let away = "HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/latest/meta-data\r\ncontent-length: 0\r\n\r\n";
    let server = Server::start(Behaviour::Answers(vec![away])).await;
    let data = json!({"url": server.url()});
    let answer = within_this_machine().call_webhook(&data, Payload::Empty, INVOCATION).await.unwrap();
    assert_eq!(answer.status, 302);
    let sent = within_this_machine().notify("custom-webhook", &hasty(&server), None, "B", INVOCATION).await;
    assert_eq!(sent, Err(CallError::Rejected { service: "The webhook", status: 302 }));
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn an_answer_without_end_is_read_up_to_its_limit() {
    let server = Server::start(Behaviour::Flood).await;
    let data = json!({"url": server.url()});
    let call = within_this_machine();
    let (answer, took) = timed(call.call_webhook(&data, Payload::Empty, INVOCATION)).await;
    assert_eq!(answer.unwrap().body.len(), ANSWER_LIMIT);
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[tokio::test]
async fn who_answers_too_slowly_is_not_waited_for() {
    for behaviour in [Behaviour::Silence, Behaviour::Drip] {
        let server = Server::start(behaviour).await;
        let (call, data) = (within_this_machine(), hasty(&server));
        let (sent, took) = timed(call.notify("custom-webhook", &data, None, "B", INVOCATION)).await;
        let failure = sent.unwrap_err();
        assert_eq!(failure, CallError::TimedOut(Duration::from_millis(300)));
        assert!(failure.is_passing());
        assert!(took < Duration::from_secs(3), "{took:?}");
    }
}

#[tokio::test]
async fn a_connection_that_breaks_off_may_be_tried_again() {
    let server = Server::start(Behaviour::Close).await;
    let sent = within_this_machine().notify("custom-webhook", &hasty(&server), None, "B", INVOCATION).await;
    let failure = sent.unwrap_err();
    assert!(matches!(failure, CallError::Unreachable(_)) && failure.is_passing(), "{failure}");
}

#[tokio::test]
async fn a_machine_that_is_not_there_may_be_tried_again_and_is_not_told() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for url in [format!("http://{free}/s3cr3t"), "http://s3cr3t.invalid/s3cr3t".to_owned()] {
        let data = json!({"url": url});
        let failure = within_this_machine().call_webhook(&data, Payload::Empty, INVOCATION).await.unwrap_err();
        assert!(matches!(failure, CallError::Unreachable(_)) && failure.is_passing(), "{failure}");
        assert!(!format!("{failure} {failure:?}").contains("s3cr3t"), "{failure:?}");
    }
}

#[tokio::test]
async fn this_machine_is_not_called_unless_it_is_allowed() {
    let server = Server::start(Behaviour::Answers(vec![OK])).await;
    let port = server.address.port();
    let hosts = ["127.0.0.1", "localhost", "LocalHost", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "0.0.0.0"];
    for reach in [Reach::Public, Reach::Private] {
        for host in hosts {
            let data = json!({"url": format!("http://{host}:{port}/hook")});
            let called = Outbound::new(reach).call_webhook(&data, Payload::Empty, INVOCATION).await;
            let failure = called.unwrap_err();
            assert!(matches!(failure, CallError::Forbidden(_)) && !failure.is_passing(), "{host}: {failure}");
        }
    }
    // A block may be stricter than the server.
    for host in ["127.0.0.1", "localhost"] {
        let data = json!({"url": format!("http://{host}:{port}/hook"), "allow_private_urls": false});
        let called = within_this_machine().call_webhook(&data, Payload::Empty, INVOCATION).await;
        assert!(matches!(called, Err(CallError::Forbidden(_))), "{called:?}");
    }
    assert_eq!(server.seen(), Vec::<String>::new());
    let data = json!({"url": format!("http://localhost:{port}/hook")});
    let called = within_this_machine().call_webhook(&data, Payload::Empty, INVOCATION).await;
    assert_eq!(called.map(|answer| answer.status), Ok(200));
}

#[tokio::test]
async fn a_certificate_must_be_trusted_unless_the_block_says_otherwise() {
    let server = Server::start_with(Behaviour::Answers(vec![OK]), Some(acceptor())).await;
    let url = format!("https://localhost:{}/s3cr3t", server.address.port());
    let call = within_this_machine();

    let failure = call.call_webhook(&json!({"url": url}), Payload::Empty, INVOCATION).await.unwrap_err();
    assert!(matches!(failure, CallError::Untrusted(_)) && !failure.is_passing(), "{failure}");
    assert!(!server.seen().iter().any(|seen| seen.contains("s3cr3t")), "{:?}", server.seen());

    let answer = call.call_webhook(&json!({"url": url, "verify": false}), Payload::Empty, INVOCATION).await.unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (200, "ok"));
    // What does not verify one call changes nothing for the next.
    assert!(call.call_webhook(&json!({"url": url}), Payload::Empty, INVOCATION).await.is_err());
}

#[tokio::test]
async fn all_recipients_are_tried_and_nobody_twice() {
    let busy = "HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n";
    let server = Server::start(Behaviour::Answers(vec![busy, OK, OK])).await;
    let data =
        json!({"hostname": "127.0.0.1", "port": server.address.port(), "token": "t", "channels": ["a", "b", "c"]});
    let sent = within_this_machine().notify("mattermost-webhook", &data, Some("S"), "B", INVOCATION).await;
    let failure = sent.unwrap_err();
    let failures = vec![CallError::Rejected { service: "Mattermost", status: 503 }];
    assert_eq!(failure, CallError::Partly { recipients: 3, failures });
    assert!(!failure.is_passing());
    assert_eq!(server.seen().len(), 3);

    let server = Server::start(Behaviour::Answers(vec![busy])).await;
    let data = json!({"hostname": "127.0.0.1", "port": server.address.port(), "token": "t"});
    let sent = within_this_machine().notify("mattermost-webhook", &data, Some("S"), "B", INVOCATION).await;
    assert!(sent.unwrap_err().is_passing());
}

#[tokio::test]
async fn a_request_that_is_too_large_stays_here() {
    let server = Server::start(Behaviour::Answers(vec![OK])).await;
    let data = json!({"url": server.url()});
    let payload = "x".repeat(REQUEST_LIMIT + 1);
    let called = within_this_machine().call_webhook(&data, Payload::Text(&payload), INVOCATION).await;
    let limit = REQUEST_LIMIT;
    assert_eq!(called.map(|answer| answer.status), Err(CallError::TooLarge { size: limit + 1, limit }));
    let called = within_this_machine().call_webhook(&data, Payload::Text(&payload[1..]), INVOCATION).await;
    assert_eq!(called.map(|answer| answer.status), Ok(200));
    assert_eq!(server.seen().len(), 1);
}
