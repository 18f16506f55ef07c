//! Replays what `tests/contract/record.py` and `record_coerced.py` recorded on the oracle, and compares it exactly.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a broken vector must fail the test")]

use std::{collections::BTreeMap, fmt::Write as _};

use common::{
    contract::{Operation, PAGE_LIMIT, Request},
    schema_tools::validation::check_parameters,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::{Value, json};

const VECTORS: &str = include_str!("../../tests/contract/vectors.json");
const COERCED: &str = include_str!("../../tests/contract/coerced.json");
const ID: &str = "01a2034c-a60e-77df-8caf-82a280613781";

/// What handlers answer with 422, after a request was found valid.
const FROM_HANDLERS: [&str; 2] = ["CSRF protection is disabled.", "History interval must not be less than 1 second."];

#[derive(Deserialize)]
struct Vector {
    method: String,
    template: String,
    status: u16,
    #[serde(default)]
    path: BTreeMap<String, String>,
    #[serde(default)]
    query: String,
    headers: Option<BTreeMap<String, String>>,
    body: Option<String>,
    body_hex: Option<String>,
    answer: Option<Value>,
}

impl Vector {
    fn bytes(&self) -> Vec<u8> {
        match (&self.body, &self.body_hex) {
            (Some(text), _) => text.as_bytes().to_vec(),
            (None, Some(hex)) => {
                (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
            }
            (None, None) => Vec::new(),
        }
    }

    fn headers(&self) -> HeaderMap {
        let json = BTreeMap::from([("content-type".to_owned(), "application/json".to_owned())]);
        let headers = self.headers.as_ref().unwrap_or(&json);
        headers
            .iter()
            .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap()))
            .collect()
    }

    /// Returns the oracle's answer, with the body that it echoes put back in its place.
    fn answer(&self) -> Value {
        let mut answer = self.answer.clone().unwrap_or_default();
        if answer.get("request_body") == Some(&json!({"$sent": true})) {
            let text = String::from_utf8_lossy(&self.bytes()).into_owned();
            answer["request_body"] = serde_json::from_str(&text).unwrap_or(text.into());
        }
        answer
    }

    fn replay(&self) -> (u16, Value) {
        let operation = Operation::find(&self.method, &self.template).expect("the vector's operation");
        let path: Vec<(&str, &str)> = self.path.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let (headers, body) = (self.headers(), self.bytes());
        let request = Request { path: &path, query: &self.query, headers: &headers, body: &body };
        match operation.validate_with(
            &request,
            PAGE_LIMIT,
            contract::Checks { parameters: Some(check_parameters), templates: None },
        ) {
            Ok(_) => (200, Value::Null),
            Err(rejection) => {
                let (status, answer) = rejection.into_answer();
                // The recorded answers are read with floats for large integers.
                (status, serde_json::from_slice(&common::json::to_vec(&answer).unwrap()).unwrap())
            }
        }
    }

    /// Tells whether the request holds a number that Python takes and neither JSON nor the table can hold.
    fn differs_on_purpose(&self, answer: &Value) -> bool {
        let beyond_64_bits = answer.pointer("/exception_detail/0/type").is_some_and(|kind| kind == "int_parsing_size");
        let body = self.body.as_deref().unwrap_or_default();
        (beyond_64_bits && self.wanted().0 == 200) || ["\"nan\"", "\"inf\""].iter().any(|number| body.contains(number))
    }

    /// Returns what the validation alone should answer: the handler's answers count as accepted.
    fn wanted(&self) -> (u16, Value) {
        let detail = self.answer.as_ref().and_then(|answer| answer.get("detail")).and_then(Value::as_str);
        match self.status {
            422 if detail.is_some_and(|detail| FROM_HANDLERS.contains(&detail)) => (200, Value::Null),
            400 | 422 => (self.status, self.answer()),
            404 if self.path.get("id").is_some_and(|id| uuid::Uuid::parse_str(id).is_err()) => {
                (404, json!({"detail": "Not Found"}))
            }
            _ => (200, Value::Null),
        }
    }
}

#[test]
fn answers_every_recorded_request_as_the_oracle_does() {
    let vectors: Vec<Vector> = serde_json::from_str(VECTORS).expect("vectors.json is JSON");
    assert!(vectors.len() > 1000, "only {} vectors", vectors.len());
    let mut report = String::new();
    let mut different = 0;
    for vector in &vectors {
        let (got, wanted) = (vector.replay(), vector.wanted());
        // Where the oracle itself breaks (500), any clear refusal is right, and so is acceptance.
        if got == wanted || vector.status >= 500 {
            continue;
        }
        if vector.differs_on_purpose(&got.1) {
            continue;
        }
        different += 1;
        if different <= 40 {
            let body = String::from_utf8_lossy(&vector.bytes()).chars().take(300).collect::<String>();
            let Vector { method, template, status, path, query, headers, .. } = vector;
            let _ = writeln!(report, "{method} {template} {path:?} {query:?} {headers:?} {body}\n  oracle {status}");
            for (name, (status, answer)) in [("wanted", &wanted), ("got   ", &got)] {
                let text: String = answer.to_string().chars().take(1200).collect();
                let _ = writeln!(report, "  {name} {status} {text}");
            }
        }
    }
    assert!(different == 0, "{different} of {} requests are answered differently:\n{report}", vectors.len());
}

/// A valid body, and what upstream makes of it: with its defaults, or without.
#[derive(Deserialize)]
struct Coerced {
    method: String,
    template: String,
    sends: String,
    body: Option<Value>,
    sent: Option<Value>,
}

#[test]
fn coerces_every_recorded_body_as_upstream_does() {
    let recorded: Vec<Coerced> = serde_json::from_str(COERCED).expect("coerced.json is JSON");
    assert!(recorded.len() > 500, "only {} bodies", recorded.len());
    let headers = HeaderMap::from_iter([(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
    for Coerced { method, template, sends, body, sent } in recorded {
        let operation = Operation::find(&method, &template).expect("the recorded operation");
        let path = [("id", ID)];
        let request = Request { path: &path, query: "", headers: &headers, body: sends.as_bytes() };
        let validated =
            operation.validate(&request).unwrap_or_else(|error| panic!("{method} {template} {sends}: {error:?}"));
        let got = if body.is_some() { validated.body.clone() } else { validated.sent() };
        let mut wanted = body.or(sent).unwrap_or_default();
        if let (Some(limit @ Value::Null), Some(limit_set)) = (wanted.get_mut("limit"), got.get("limit")) {
            // A dependency of upstream sets the page's limit after the validation.
            limit.clone_from(limit_set);
        }
        assert_eq!(got, wanted, "{method} {template} {sends}");
    }
}
