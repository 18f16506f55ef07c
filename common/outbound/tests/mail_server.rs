//! Submits mails to a mail server on this machine: logins, refusals, encryption, silence, nonsense, and addresses that
//! may not be called.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use futures::future::join_all;
use mail_parser::MessageParser;
use outbound::{CallError, Outbound, REQUEST_LIMIT, Reach, Result};
use serde_json::json;
use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufStream},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;
use uuid::Uuid;

use support::acceptor;

const INVOCATION: Uuid = Uuid::from_u128(7);

/// What the server answers to commands that begin so, in place of what it answers otherwise. What it gets on an
/// encrypted way begins with `TLS `. An answer may be one of those below.
type Answers = Vec<(&'static str, &'static str)>;

/// Says nothing, and keeps the connection.
const SILENCE: &str = "silence";
/// Ends the connection.
const CLOSE: &str = "close";
/// Sends a line without end.
const FLOOD: &str = "flood";

/// How the way to a server is encrypted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Encryption {
    None,
    Tls,
    StartTls,
}

/// A mail server for one test; it ends with the test's runtime.
struct Server {
    address: SocketAddr,
    /// The commands that it got, and the mails in the place of their lines.
    seen: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start(answers: Answers) -> Self {
        Self::start_with(answers, Encryption::None).await
    }

    async fn start_with(answers: Answers, encryption: Encryption) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (noted, acceptor) = (seen.clone(), acceptor());
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (answers, noted, acceptor) = (answers.clone(), noted.clone(), acceptor.clone());
                tokio::spawn(async move { serve(stream, encryption, &acceptor, &answers, &noted).await });
            }
        });
        Self { address, seen }
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    /// Returns the first word of all commands.
    fn verbs(&self) -> Vec<String> {
        self.seen().iter().map(|line| line.split([' ', ':']).next().unwrap().to_owned()).collect()
    }

    /// Returns the address of mail that leads to this server, with more of a query.
    fn url(&self, query: &str) -> String {
        let port = self.address.port();
        format!("mailto://us3r:s3cr3t@localhost:{port}?from=from@example.com&verify=no&{query}")
    }

    async fn send(&self, query: &str) -> Result<()> {
        send(Reach::Loopback, &self.url(query), "B").await
    }
}

async fn send(reach: Reach, url: &str, body: &str) -> Result<()> {
    Outbound::new(reach).notify("slack-webhook", &json!({"url": url}), Some("S"), body, INVOCATION).await
}

async fn serve(
    stream: TcpStream,
    encryption: Encryption,
    acceptor: &TlsAcceptor,
    answers: &Answers,
    noted: &Mutex<Vec<String>>,
) {
    if encryption == Encryption::Tls {
        let Ok(stream) = acceptor.accept(stream).await else { return };
        converse(BufStream::new(stream), "TLS ", true, false, answers, noted).await;
        return;
    }
    let has_starttls = encryption == Encryption::StartTls;
    let Some(stream) = converse(BufStream::new(stream), "", true, has_starttls, answers, noted).await else { return };
    let Ok(stream) = acceptor.accept(stream.into_inner()).await else { return };
    converse(BufStream::new(stream), "TLS ", false, false, answers, noted).await;
}

/// Talks until the client goes, and returns the connection if it shall be encrypted.
async fn converse<S>(
    mut stream: BufStream<S>,
    prefix: &str,
    greets: bool,
    has_starttls: bool,
    answers: &Answers,
    noted: &Mutex<Vec<String>>,
) -> Option<BufStream<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let answer = |command: &str, usual: &'static str| -> &'static str {
        let found = answers.iter().find(|(begin, _)| command.starts_with(begin));
        found.map_or(usual, |(_, answer)| answer)
    };
    if greets {
        say(&mut stream, answer("greeting", "220 test")).await?;
    }
    loop {
        let command = format!("{prefix}{}", read_line(&mut stream).await?);
        noted.lock().unwrap().push(command.clone());
        let verb = command.strip_prefix(prefix)?.split([' ', ':']).next()?.to_owned();
        let usual = match verb.as_str() {
            "EHLO" if has_starttls => "250-test\r\n250 STARTTLS",
            "EHLO" => "250-test\r\n250-8BITMIME\r\n250 AUTH PLAIN LOGIN",
            "STARTTLS" => "220 go",
            "AUTH" => "235 you are in",
            "DATA" => "354 go",
            "QUIT" => "221 bye",
            _ => "250 ok",
        };
        let told = answer(&command, usual);
        say(&mut stream, told).await?;
        match verb.as_str() {
            "STARTTLS" if told.starts_with("220") => return Some(stream),
            "QUIT" => return None,
            "DATA" if told.starts_with("354") => {
                let mut lines = Vec::new();
                loop {
                    let line = read_line(&mut stream).await?;
                    if line == "." {
                        break;
                    }
                    lines.push(line.strip_prefix('.').unwrap_or(&line).to_owned());
                }
                noted.lock().unwrap().push(format!("mail {}", lines.join("\r\n")));
                say(&mut stream, answer("end of mail", "250 queued")).await?;
            }
            _ => {}
        }
    }
}

async fn read_line(stream: &mut (impl AsyncBufRead + Unpin)) -> Option<String> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok().filter(|count| *count > 0)?;
    Some(line.strip_suffix("\r\n")?.to_owned())
}

async fn say(stream: &mut (impl AsyncWrite + Unpin), answer: &str) -> Option<()> {
    match answer {
        CLOSE => return None,
        SILENCE => {
            tokio::time::sleep(Duration::from_mins(1)).await;
            return None;
        }
        FLOOD => while stream.write_all(&[b'2'; 4096]).await.is_ok() {},
        _ => {}
    }
    stream.write_all(format!("{answer}\r\n").as_bytes()).await.ok()?;
    stream.flush().await.ok()
}

fn refused(what: &'static str, code: u16) -> Result<()> {
    Err(CallError::Refused { what, code })
}

#[tokio::test]
async fn a_mail_arrives_once_with_an_id_that_tells_one_that_comes_again() {
    let server = Server::start(Vec::new()).await;
    let body = ".\nGröße: <b>5</b>\n..\n.a\n";
    send(Reach::Loopback, &server.url("to=to@example.com&bcc=d@example.com&format=text"), body).await.unwrap();
    let seen = server.seen();
    let commands = seen.iter().filter(|line| !line.starts_with("mail "));
    let commands: Vec<&str> = commands.map(String::as_str).collect();
    // The login is us3r and s3cr3t.
    let expected = [
        "EHLO [127.0.0.1]",
        "AUTH PLAIN AHVzM3IAczNjcjN0",
        "MAIL FROM:<from@example.com>",
        "RCPT TO:<to@example.com>",
        "RCPT TO:<d@example.com>",
        "DATA",
        "QUIT",
    ];
    assert_eq!(commands, expected);
    let mail = seen.iter().find_map(|line| line.strip_prefix("mail ")).unwrap();
    let mail = MessageParser::default().parse(mail).unwrap();
    assert_eq!(mail.message_id(), Some(format!("{INVOCATION}@example.com").as_str()));
    assert_eq!(mail.body_text(0).unwrap().replace("\r\n", "\n"), ".\nGröße: <b>5</b>\n..\n.a");
    assert!(mail.bcc().is_none());
    let written = mail.date().unwrap().to_timestamp();
    assert!(written > 1_790_000_000, "{written}");
}

#[tokio::test]
async fn each_target_gets_a_mail_with_an_id_of_its_own_in_one_session() {
    let server = Server::start(Vec::new()).await;
    server.send("to=a@example.com,b@example.com&cc=c@example.com").await.unwrap();
    let verbs = server.verbs();
    let count = |verb: &str| verbs.iter().filter(|other| *other == verb).count();
    assert_eq!((count("EHLO"), count("AUTH"), count("MAIL"), count("RCPT"), count("QUIT")), (1, 1, 2, 4, 1));
    let mails: Vec<String> = server.seen().into_iter().filter(|line| line.starts_with("mail ")).collect();
    assert!(mails[0].contains(&format!("<{INVOCATION}@example.com>")), "{}", mails[0]);
    assert!(mails[1].contains(&format!("<{INVOCATION}-1@example.com>")), "{}", mails[1]);
}

#[tokio::test]
async fn an_encrypted_way_has_all_that_is_secret() {
    for (encryption, mode) in [(Encryption::Tls, "ssl"), (Encryption::StartTls, "starttls")] {
        let server = Server::start_with(Vec::new(), encryption).await;
        server.send(&format!("to=to@example.com&mode={mode}")).await.unwrap();
        let seen = server.seen();
        let (open, hidden): (Vec<_>, Vec<_>) =
            seen.iter().filter(|line| !line.starts_with("mail ")).partition(|line| !line.starts_with("TLS "));
        assert!(open.iter().all(|line| line.starts_with("EHLO ") || *line == "STARTTLS"), "{open:?}");
        let hidden: Vec<&str> = hidden.iter().filter_map(|line| line.split([' ', ':']).nth(1)).collect();
        assert_eq!(hidden, ["EHLO", "AUTH", "MAIL", "RCPT", "DATA", "QUIT"]);
    }
}

#[tokio::test]
async fn a_certificate_must_be_trusted_unless_the_address_says_otherwise() {
    for (encryption, mode) in [(Encryption::Tls, "ssl"), (Encryption::StartTls, "starttls")] {
        let server = Server::start_with(Vec::new(), encryption).await;
        let failure = server.send(&format!("to=to@example.com&mode={mode}&verify=yes")).await.unwrap_err();
        assert!(matches!(failure, CallError::Untrusted(_)) && !failure.is_passing(), "{failure}");
        assert!(!server.seen().iter().any(|line| line.starts_with("TLS ")), "{:?}", server.seen());
        assert!(!server.seen().iter().any(|line| line.starts_with("AUTH ")), "{:?}", server.seen());
    }
}

#[tokio::test]
async fn nothing_is_sent_to_a_server_that_does_not_encrypt_if_it_shall() {
    let server = Server::start(Vec::new()).await;
    let failure = server.send("to=to@example.com&mode=starttls").await.unwrap_err();
    assert!(matches!(failure, CallError::Untrusted(_)), "{failure}");
    assert_eq!(server.verbs(), ["EHLO"]);
}

#[tokio::test]
async fn nothing_that_came_unencrypted_is_taken_for_an_encrypted_answer() {
    let injected = "220 go\r\n250 AUTH PLAIN";
    let answers = vec![("STARTTLS", injected), ("TLS EHLO", "550 not to you")];
    let server = Server::start_with(answers, Encryption::StartTls).await;
    let sent = server.send("to=to@example.com&mode=starttls").await;
    assert_eq!(sent, refused("the connection", 550));
    assert_eq!(server.verbs()[..3], ["EHLO", "STARTTLS", "TLS"]);
}

#[tokio::test]
async fn what_a_server_refuses_is_told_and_tried_again_if_that_may_help() {
    let cases = [
        ("greeting", "554 no", "the connection", 554),
        ("greeting", "421 busy", "the connection", 421),
        ("EHLO", "502 no", "the connection", 502),
        ("AUTH", "535 s3cr3t is wrong", "the login", 535),
        ("AUTH", "454 later", "the login", 454),
        ("MAIL", "550-not\r\n550 you", "the sender", 550),
        ("MAIL", "451 later", "the sender", 451),
        ("RCPT", "550 nobody", "a recipient", 550),
        ("RCPT", "450 gray", "a recipient", 450),
        ("DATA", "554 no", "the mail", 554),
        ("end of mail", "552 too large", "the mail", 552),
        ("end of mail", "451 later", "the mail", 451),
    ];
    for (command, answer, what, code) in cases {
        let server = Server::start(vec![(command, answer)]).await;
        let sent = server.send("to=to@example.com").await;
        assert_eq!(sent, refused(what, code), "{command}: {answer}");
        let failure = sent.unwrap_err();
        assert_eq!(failure.is_passing(), code < 500, "{failure}");
        assert!(!format!("{failure} {failure:?}").contains("s3cr3t"), "{failure:?}");
    }
}

#[tokio::test]
async fn a_login_that_is_refused_is_not_tried_for_each_target() {
    let server = Server::start(vec![("AUTH", "535 no")]).await;
    let failure = server.send("to=a@example.com,b@example.com,c@example.com").await.unwrap_err();
    let failures = vec![CallError::Refused { what: "the login", code: 535 }; 3];
    assert_eq!(failure, CallError::Partly { recipients: 3, failures });
    assert!(!failure.is_passing());
    assert_eq!(server.verbs().iter().filter(|verb| *verb == "AUTH").count(), 1);
}

#[tokio::test]
async fn a_login_goes_to_no_server_that_takes_none() {
    let server = Server::start(vec![("EHLO", "250 test")]).await;
    let failure = server.send("to=a@example.com").await.unwrap_err();
    assert!(matches!(failure, CallError::Misconfigured { .. }), "{failure}");
    assert_eq!(server.verbs(), ["EHLO"]);
}

#[tokio::test]
async fn all_recipients_are_tried_and_nobody_twice() {
    let server = Server::start(vec![("RCPT TO:<no@", "450 later")]).await;
    let failure = server.send("to=a@example.com,no@example.com,b@example.com&cc=c@example.com").await.unwrap_err();
    let failures = vec![CallError::Refused { what: "a recipient", code: 450 }];
    assert_eq!(failure, CallError::Partly { recipients: 6, failures });
    assert!(!failure.is_passing());
    let seen = server.seen();
    assert_eq!(seen.iter().filter(|line| line.starts_with("mail ")).count(), 3, "{seen:?}");
    assert_eq!(seen.iter().filter(|line| line.starts_with("EHLO")).count(), 1, "{seen:?}");

    // A mail that nobody takes does not end the session.
    let server = Server::start(vec![("RCPT TO:<no@", "550 no"), ("MAIL FROM:<no@", "550 no")]).await;
    server.send("to=no@example.com,b@example.com").await.unwrap_err();
    let verbs = server.verbs();
    assert_eq!(&verbs[2..], ["MAIL", "RCPT", "RSET", "MAIL", "RCPT", "DATA", "mail", "QUIT"]);
}

#[tokio::test]
async fn what_is_no_mail_server_is_told_for_what_it_is() {
    let cases = [
        ("greeting", "HTTP/1.1 400 Bad Request"),
        ("greeting", "-ERR unknown command"),
        ("greeting", FLOOD),
        ("EHLO", "\u{1}\u{2}\u{3}"),
        ("MAIL", "354 go on"),
        ("RCPT", "354 go on"),
        ("DATA", "250 ok"),
        ("end of mail", "354 more"),
    ];
    for (command, answer) in cases {
        let server = Server::start(vec![(command, answer)]).await;
        let failure = server.send("to=to@example.com").await.unwrap_err();
        assert_eq!(failure, CallError::NotSmtp, "{command}: {answer}");
        assert!(!failure.is_passing());
    }
}

#[tokio::test]
async fn a_connection_that_breaks_off_may_be_tried_again() {
    for command in ["greeting", "EHLO", "AUTH", "RCPT", "DATA", "end of mail"] {
        let server = Server::start(vec![(command, CLOSE)]).await;
        let failure = server.send("to=to@example.com").await.unwrap_err();
        assert!(matches!(failure, CallError::Unreachable(_)) && failure.is_passing(), "{command}: {failure}");
    }
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for host in [free.to_string(), "s3cr3t.invalid:25".to_owned()] {
        let url = format!("mailto://s3cr3t:s3cr3t@{host}?from=s3cr3t@example.com&to=s3cr3t@example.com");
        let failure = send(Reach::Loopback, &url, "B").await.unwrap_err();
        assert!(matches!(failure, CallError::Unreachable(_)) && failure.is_passing(), "{failure}");
        assert!(!format!("{failure} {failure:?}").contains("s3cr3t"), "{failure:?}");
    }
}

#[tokio::test]
async fn who_answers_too_slowly_is_not_waited_for() {
    let begin = Instant::now();
    let waits = ["greeting", "STARTTLS", "AUTH", "end of mail"].map(|command| async move {
        let encryption = if command == "STARTTLS" { Encryption::StartTls } else { Encryption::None };
        let server = Server::start_with(vec![(command, SILENCE)], encryption).await;
        let mode = if command == "STARTTLS" { "starttls" } else { "insecure" };
        let failure = server.send(&format!("to=a@example.com&mode={mode}")).await.unwrap_err();
        assert_eq!(failure, CallError::TimedOut(Duration::from_secs(15)), "{command}");
        assert!(failure.is_passing());
    });
    join_all(waits).await;
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn this_machine_is_not_called_unless_it_is_allowed() {
    let server = Server::start(Vec::new()).await;
    let port = server.address.port();
    let hosts = ["127.0.0.1", "localhost", "LocalHost", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "0.0.0.0"];
    for reach in [Reach::Public, Reach::Private] {
        for host in hosts {
            // The host may also be told apart from the account.
            for server in [format!("{host}:{port}?"), format!("example.com:{port}?smtp={host}&")] {
                let url = format!("mailto://u:p@{server}from=a@example.com&to=b@example.com");
                let failure = send(reach, &url, "B").await.unwrap_err();
                assert!(matches!(failure, CallError::Forbidden(_)) && !failure.is_passing(), "{url}: {failure}");
            }
        }
    }
    let data = json!({"url": server.url("to=to@example.com"), "allow_private_urls": false});
    let sent = Outbound::new(Reach::Loopback).notify("slack-webhook", &data, Some("S"), "B", INVOCATION).await;
    assert!(matches!(sent, Err(CallError::Forbidden(_))), "{sent:?}");
    let url = "mailto://169.254.169.254:80?from=a@example.com&to=b@example.com";
    let sent = send(Reach::Loopback, url, "B").await;
    assert!(matches!(sent, Err(CallError::Forbidden(_))), "{sent:?}");
    assert_eq!(server.seen(), Vec::<String>::new());
}

#[tokio::test]
async fn where_only_public_addresses_are_reached_a_port_is_one_of_mail_servers() {
    for (port, is_of_mail) in [(22, false), (80, false), (443, false), (6379, false), (465, true), (2587, true)] {
        let url = format!("mailto://u:p@nobody.invalid:{port}?from=a@example.com&to=b@example.com");
        let failure = send(Reach::Public, &url, "B").await.unwrap_err();
        assert_eq!(matches!(failure, CallError::Forbidden(_)), !is_of_mail, "{port}: {failure}");
    }
}

#[tokio::test]
async fn a_mail_that_is_too_large_stays_here() {
    let server = Server::start(Vec::new()).await;
    let body = "x".repeat(REQUEST_LIMIT);
    let sent = send(Reach::Loopback, &server.url("to=a@example.com&format=text"), &body).await;
    assert!(matches!(sent, Err(CallError::TooLarge { .. })), "{sent:?}");
    assert_eq!(server.seen(), Vec::<String>::new());
}
