//! Holds the requests of webhooks and notifications against those that Prefect's own blocks send, case by case.
//!
//! `tests/golden/record_notifications.py` has recorded them. What we do differently on purpose is in [`INTENDED`],
//! with the reason; an entry that makes no difference fails the test.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{collections::BTreeMap, fs, net::IpAddr, path::Path};

use http::HeaderMap;
use mail_parser::{Address, HeaderValue, MessageParser, MimeHeaders, PartType};
use outbound::{
    Answer, CallError, Mail, Message, Payload, Reach, Request, Security, Submission, prepare_notification,
    prepare_webhook,
};
use serde::Deserialize;
use serde_json::{Value, json};
use url::{Host, Url};
use uuid::Uuid;

const INVOCATION: Uuid = Uuid::from_u128(7);

/// The cases in which we do something else than Prefect, and why.
const INTENDED: &[(&str, &str)] = &[
    ("webhook: a content length", "the length belongs to the connection, so a block's own is left out"),
    ("slack-webhook: text: more of slack's own", "markup keeps its case, and an address of mail is no mention"),
    ("slack-webhook: text: mention", "what is no markup of Slack's is escaped, also with an address of mail in it"),
    ("slack-webhook: option: gov with a query", "options are read for both hosts of Slack"),
    ("slack-webhook: option: upper case host", "a host is the same in any case"),
    (
        "slack-webhook: mail: an at sign in the password",
        "the last @ stands before the host, and all else is the account",
    ),
    ("slack-webhook: mail: a colon in the password", "a password is whole, and not what stands before its first colon"),
    ("slack-webhook: mail: a doubled target", "nobody gets a mail twice"),
    ("slack-webhook: mail: two targets and reply", "all targets get a mail, and not the first alone"),
    ("slack-webhook: mail: a header with a line break", "a header is one line, and the mail is sent"),
    ("slack-webhook: mail: a name with a line break", "a name is one line, and no header of its own"),
    ("slack-webhook: mail: no host", "a mail without a server goes nowhere"),
    ("slack-webhook: mail: a host beyond ascii", "a mail without a server goes nowhere"),
    ("slack-webhook: mail as html: entities", "an entity ends with a semicolon in the part that is plain text"),
    (
        "slack-webhook: mail: not to private addresses",
        "the host of a mail is judged as any other, and this one is public",
    ),
    ("pager-duty-webhook: text: spaces around", "the body is delivered as it was written"),
    ("pager-duty-webhook: text: percent", "the body is delivered as it was written"),
    ("pager-duty-webhook: option: spaces", "details are delivered as they were written"),
    ("pager-duty-webhook: option: slashes", "source and component are delivered as they were written"),
    ("opsgenie-webhook: option: spaces", "a name with a space is one team, and not a team and a user"),
    ("mattermost-webhook: option: doubled channels", "nobody gets a message twice"),
    ("mattermost-webhook: option: path without a slash", "a path is one with and without its slash"),
    ("discord-webhook: text: only a body of spaces", "the subject is a message as well"),
    ("discord-webhook: option: all", "the bot has the name that the block gives it"),
    ("discord-webhook: option: unicode bot", "the bot has the name that the block gives it"),
    ("discord-webhook: option: id with a slash", "an id leads to no other path"),
    ("discord-webhook: status: 429", "the next try is the queue's, later, and not at once"),
    ("custom-webhook: option: a secret that is a list in a text", "a list becomes JSON, not Python"),
    ("custom-webhook: option: a number as a header", "a number is a text where only texts can be"),
];

#[derive(Deserialize)]
struct Case {
    name: String,
    block: String,
    data: Value,
    subject: Option<String>,
    body: Option<String>,
    payload: Option<Value>,
    answer: RecordedAnswer,
    outcome: String,
    requests: Vec<RecordedRequest>,
    #[serde(default)]
    mails: Vec<ComparedMail>,
}

#[derive(Deserialize)]
struct RecordedAnswer {
    status: u16,
    body: String,
}

#[derive(Deserialize)]
struct RecordedRequest {
    method: String,
    url: String,
    headers: BTreeMap<String, String>,
    body: String,
}

/// What is left to compare of a request.
#[derive(Debug, PartialEq)]
struct Compared {
    method: String,
    url: String,
    headers: BTreeMap<String, String>,
    body: Value,
}

/// What is left to compare of a mail: where it is submitted, who gets it, and what it says.
#[derive(Clone, Debug, PartialEq, Deserialize)]
struct ComparedMail {
    host: String,
    port: u16,
    security: String,
    login: Option<(String, String)>,
    verifies: bool,
    sender: String,
    recipients: Vec<String>,
    headers: BTreeMap<String, Value>,
    parts: Vec<(String, String)>,
}

/// What a case comes to: the requests and mails, and whether all is well with it then.
type Outcome = (Vec<Compared>, Vec<ComparedMail>, bool);

fn cases() -> Vec<Case> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/notifications.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// Spells the address in one way: without a fragment, which is not sent, and with the query's pairs spelled alike.
fn spelled(url: &Url) -> String {
    let mut spelled = url.clone();
    spelled.set_fragment(None);
    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    spelled.set_query(None);
    if !pairs.is_empty() {
        spelled.query_pairs_mut().extend_pairs(pairs);
    }
    spelled.into()
}

fn body(content_type: Option<&String>, text: &str) -> Value {
    match content_type.map(String::as_str) {
        Some(kind) if kind.starts_with("application/json") => {
            serde_json::from_str(text).unwrap_or_else(|_| Value::from(text))
        }
        Some(kind) if kind.ends_with("form-urlencoded") => {
            let pairs: Vec<(String, String)> = form_urlencoded::parse(text.as_bytes()).into_owned().collect();
            serde_json::to_value(pairs).unwrap()
        }
        _ => Value::from(text),
    }
}

fn recorded(case: &Case) -> Outcome {
    let compared = |request: &RecordedRequest| Compared {
        method: request.method.clone(),
        url: spelled(&Url::parse(&request.url).unwrap()),
        headers: request.headers.clone(),
        body: body(request.headers.get("content-type"), &request.body),
    };
    let mails = case.mails.iter().map(|mail| ComparedMail { host: mail.host.to_ascii_lowercase(), ..mail.clone() });
    (case.requests.iter().map(compared).collect(), mails.collect(), case.outcome == "sent")
}

/// Returns our request, without what is ours alone: the key, and the name in the place of httpx's.
fn compared(request: &Request) -> Compared {
    let text = |headers: &HeaderMap, name| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    let mut headers: BTreeMap<String, String> =
        request.headers().keys().filter_map(|name| Some((name.to_string(), text(request.headers(), name)?))).collect();
    headers.remove("host");
    let key = headers.remove("idempotency-key");
    assert!(key.is_some_and(|key| key.starts_with(&INVOCATION.to_string())));
    if headers.get("user-agent").is_some_and(|agent| agent == "Proctor") {
        headers.remove("user-agent");
    }
    let mut body = body(headers.get("content-type"), std::str::from_utf8(request.body()).unwrap());
    if request.url().as_str().contains("pagerduty.com") {
        let key = body.as_object_mut().unwrap().shift_remove("dedup_key");
        assert_eq!(key, Some(INVOCATION.to_string().into()));
    }
    Compared { method: request.method().to_string(), url: spelled(request.url()), headers, body }
}

/// Returns our mail, decoded, without what is ours alone: the id.
fn compared_mail(submission: &Submission, mail: &Mail) -> ComparedMail {
    let (server, text) = (&submission.server, std::str::from_utf8(&mail.content).unwrap());
    assert!(text.is_ascii() && text.lines().all(|line| line.len() < 998), "{text}");
    let parsed = MessageParser::new().with_address_headers().with_mime_headers().with_message_ids();
    let parsed = parsed.default_header_text().parse(&mail.content).unwrap();
    assert!(parsed.message_id().unwrap().starts_with(&INVOCATION.to_string()));
    let made = ["date", "message-id", "mime-version", "content-type", "content-transfer-encoding"];
    let mut headers = BTreeMap::new();
    for header in parsed.headers() {
        let name = header.name().to_ascii_lowercase();
        let value = match header.value() {
            HeaderValue::Address(addresses) => json!(addresses_of(addresses)),
            other => Value::from(other.as_text().unwrap_or_default()),
        };
        if !made.contains(&name.as_str()) {
            assert!(headers.insert(name, value).is_none(), "a header comes twice: {text}");
        }
    }
    let parts = parsed.parts.iter().filter_map(|part| {
        let kind = part.content_type().unwrap();
        let content = match &part.body {
            PartType::Text(content) | PartType::Html(content) => content.replace("\r\n", "\n"),
            _ => return None,
        };
        Some((format!("{}/{}", kind.ctype(), kind.subtype().unwrap()), content))
    });
    let mut recipients: Vec<String> = mail.recipients.iter().map(ToString::to_string).collect();
    recipients.sort_unstable();
    let security = match server.security {
        Security::Insecure => "insecure",
        Security::Tls => "ssl",
        Security::StartTls => "starttls",
    };
    ComparedMail {
        host: server.host.to_string(),
        port: server.port,
        security: security.to_owned(),
        login: server.login.clone().map(|login| (login.user, login.password)),
        verifies: server.verifies,
        sender: submission.sender.to_string(),
        recipients,
        headers,
        parts: parts.collect(),
    }
}

fn addresses_of(addresses: &Address<'_>) -> Vec<(String, String)> {
    let mut addresses: Vec<(String, String)> = addresses
        .iter()
        .map(|one| (one.name().unwrap_or_default().to_owned(), one.address().unwrap_or_default().to_owned()))
        .collect();
    addresses.sort_unstable();
    addresses
}

/// Says whether the request would be refused for its address.
fn is_forbidden(request: &Request) -> bool {
    let address: Option<IpAddr> = match request.url().host() {
        Some(Host::Ipv4(address)) => Some(address.into()),
        Some(Host::Ipv6(address)) => Some(address.into()),
        _ => None,
    };
    request.is_public_only() && address.is_some_and(|address| !Reach::Public.includes(address))
}

fn ours(case: &Case) -> Result<Outcome, CallError> {
    let answer = Answer { status: case.answer.status, headers: Vec::new(), body: case.answer.body.clone() };
    if case.block == "webhook" {
        let payload = match case.payload.as_ref() {
            None => Payload::Empty,
            Some(Value::String(text)) => Payload::Text(text),
            Some(document) => Payload::Json(document),
        };
        let request = prepare_webhook(&case.data, payload, INVOCATION)?;
        return Ok(if is_forbidden(&request) {
            (Vec::new(), Vec::new(), false)
        } else {
            (vec![compared(&request)], Vec::new(), true)
        });
    }
    let body = case.body.as_deref().unwrap();
    let message = Message { subject: case.subject.as_deref(), body, sent_at: 1_700_000_000.5, invocation: INVOCATION };
    let notification = prepare_notification(&case.block, &case.data, &message)?;
    if notification.requests().iter().any(is_forbidden) {
        return Ok((Vec::new(), Vec::new(), false));
    }
    if let Some(submission) = notification.submission() {
        let mails = submission.mails.iter().map(|mail| compared_mail(submission, mail));
        return Ok((Vec::new(), mails.collect(), true));
    }
    Ok((notification.requests().iter().map(compared).collect(), Vec::new(), notification.judge(&answer).is_ok()))
}

#[test]
fn requests_are_those_of_prefects_own_blocks() {
    let mut wrong = Vec::new();
    let mut different = Vec::new();
    for case in cases() {
        let (ours, recorded) = (ours(&case), recorded(&case));
        // What can't be prepared sends nothing.
        if ours.as_ref().map_or(recorded.0.is_empty() && recorded.1.is_empty() && !recorded.2, |ours| *ours == recorded)
        {
            continue;
        }
        different.push(case.name.clone());
        if !INTENDED.iter().any(|(name, _)| *name == case.name) {
            wrong.push(format!("{}\n  Prefect ({}): {recorded:?}\n  ours: {ours:?}", case.name, case.outcome));
        }
    }
    assert!(wrong.is_empty(), "{} cases differ:\n{}", wrong.len(), wrong.join("\n"));
    let useless: Vec<_> = INTENDED.iter().filter(|(name, _)| !different.iter().any(|other| other == name)).collect();
    assert!(useless.is_empty(), "these make no difference: {useless:?}");
}

#[test]
fn no_data_of_a_block_makes_the_server_panic_or_is_told() {
    let long = "<{{ä".repeat(1000);
    let texts = [
        "",
        " ",
        "é",
        "aé",
        "🎉🎉",
        "\0\r\n",
        "<",
        "://",
        "http://",
        "https://[::1",
        "slack://é",
        "mailto://é",
        "mailtos://é:é@é:é/é?to=é&mode=é&from=é",
        "A C",
        "@",
        "é@é",
        &long,
    ];
    let mut values: Vec<Value> = texts.into_iter().map(Value::from).collect();
    values.extend([json!(null), json!(-1), json!(1e300), json!(true), json!(["é", 1]), json!({"é": {"é": 1}})]);
    for case in
        cases().into_iter().filter(|case| case.name.contains("option: all") || case.name.contains("text: plain"))
    {
        let fields: Vec<String> = case.data.as_object().unwrap().keys().cloned().collect();
        for (field, value) in fields.iter().flat_map(|field| values.iter().map(move |value| (field, value))) {
            let mut data = case.data.clone();
            data[field] = value.clone();
            let message = Message { subject: Some("é"), body: "é<", sent_at: 0.0, invocation: INVOCATION };
            let prepared = prepare_notification(&case.block, &data, &message);
            let Err(failure) = prepared else { continue };
            assert!(!failure.to_string().contains('é'), "{}: {field}: {failure}", case.name);
        }
    }
}
