//! The programs that once ended a process, sent to the functions themselves: each is answered, and the next one too.

use std::{
    fs,
    time::{Duration, Instant},
};

use runtime_api::Function;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::stage::{Stage, answer_of, sample};

/// The stack of a function's only thread, in KB, as Lambda's Linux sets it.
const STACK_KB: u64 = 8192;

/// How long a function may take for one program, in a build without optimisation.
const LIMIT: Duration = Duration::from_secs(5);

/// The most memory that a function may ever have had, in MB: it has 256.
const MEMORY_MB: u64 = 256;

/// A program of the corpus, whose fields `common/tests/programs/corpus.rs` explains.
#[derive(Debug, Deserialize)]
struct Program {
    kind: String,
    parts: Vec<(String, usize)>,
    bound: Option<String>,
}

impl Program {
    fn text(&self) -> String {
        self.parts.iter().map(|(part, times)| part.repeat(*times)).collect()
    }

    /// Returns the function that takes such a program, and the body with it.
    fn request(&self) -> (&'static str, String) {
        let schedules =
            |schedule: Value| ("create_deployment_schedules", json!([{ "schedule": schedule }]).to_string());
        match self.kind.as_str() {
            "template" => {
                let value = json!({ "__prefect_kind": "jinja", "template": self.text() });
                ("create_flow_run_from_deployment", json!({ "parameters": { "x": value } }).to_string())
            }
            "rule" => schedules(json!({ "rrule": self.text() })),
            "cron" => schedules(json!({ "cron": self.text() })),
            "/logs/" => ("create_logs", self.text()),
            "/flow_runs/filter" => ("read_flow_runs", self.text()),
            "/work_pools/" => ("create_work_pool", self.text()),
            other => panic!("no function is named for {other}"),
        }
    }
}

fn event(function: &str, body: &str, deployment: &str) -> Value {
    let mut event = sample(function);
    event["body"] = body.into();
    if event["pathParameters"]["id"].is_string() {
        event["pathParameters"]["id"] = deployment.into();
    }
    let path = event["rawPath"].as_str().unwrap().replace("01980000-0000-7000-8000-000000000001", deployment);
    event["rawPath"] = path.clone().into();
    event["requestContext"]["http"]["path"] = path.into();
    event
}

async fn made(stage: &Stage, function: &str, body: &Value) -> Value {
    let answer = stage.ask(function, &event(function, &body.to_string(), "")).await;
    assert_eq!(answer["statusCode"], 201, "{function}: {answer}");
    serde_json::from_str(answer["body"].as_str().unwrap()).unwrap()
}

async fn deployment(stage: &Stage, schema: &Value) -> String {
    let flow = made(stage, "create_flow", &json!({ "name": "programs" })).await;
    let body = json!({
        "name": "programs", "flow_id": flow["id"], "parameter_openapi_schema": schema, "enforce_parameter_schema": true,
    });
    made(stage, "create_deployment", &body).await["id"].as_str().unwrap().to_owned()
}

/// Returns what the process of `function` has had at most of a figure of `/proc/PID/FILE`, in KB.
fn figure(function: &mut Function, file: &str, name: &str) -> u64 {
    let process = function.process().id().unwrap();
    let text = fs::read_to_string(format!("/proc/{process}/{file}")).unwrap();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap();
    let number = line.split_whitespace().find_map(|word| word.parse::<u64>().ok()).unwrap();
    if line.contains("bytes") { number / 1024 } else { number }
}

/// Sends a function one body after the other, each with what its answer has to say, to one process.
async fn try_all(stage: &Stage, deployment: &str, function: &'static str, bodies: &[(String, Option<&str>)]) {
    let mut process = stage.start(function, &stage.url).await;
    for (body, bound) in bodies {
        let began = Instant::now();
        let answer = answer_of(function, &mut process, &event(function, body, deployment)).await;
        let took = began.elapsed();
        let (status, said) = (answer["statusCode"].as_u64().unwrap(), answer["body"].as_str().unwrap_or_default());
        let short: String = body.chars().take(80).collect();
        match bound {
            // Parameters have a length of the contract's own, below that of some programs.
            Some(bound) => {
                let is_told = said.contains(bound) || said.contains("must be less than 524,288 bytes");
                assert!(status == 422 && is_told, "{bound}: {status} {said} to {short}");
            }
            None => assert!(status < 500, "{status} {said} to {short}"),
        }
        assert!(took < LIMIT, "{short} took {took:?}");
    }
    assert_eq!(figure(&mut process, "limits", "Max stack size"), STACK_KB, "the stack is Lambda's");
    let memory = figure(&mut process, "status", "VmHWM") / 1024;
    assert!(memory < MEMORY_MB, "{function} had {memory} MB");
    process.kill().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_program_of_the_corpus_is_answered_by_the_function_that_takes_it() {
    let text = include_str!("../../../../common/tests/programs/corpus.json");
    let corpus: Vec<Program> = serde_json::from_str(text).unwrap();
    let stage = Stage::new().await;
    let deployment = deployment(&stage, &json!({})).await;
    let mut tried = 0;
    for function in [
        "create_flow_run_from_deployment",
        "create_deployment_schedules",
        "create_logs",
        "read_flow_runs",
        "create_work_pool",
    ] {
        let bodies: Vec<_> = corpus
            .iter()
            .map(|program| (program.request(), program.bound.as_deref()))
            .filter(|((takes, _), _)| *takes == function)
            .map(|((_, body), bound)| (body, bound))
            .collect();
        tried += bodies.len();
        try_all(&stage, &deployment, function, &bodies).await;
    }
    assert_eq!(tried, corpus.len());
}

/// Definitions of which each names the next one, `times` over.
fn fan_out(levels: usize, times: usize) -> Value {
    let definition = |level: usize| {
        let next = json!({ "$ref": format!("#/definitions/D{}", level + 1) });
        json!({ "anyOf": vec![next; times] })
    };
    let mut definitions: serde_json::Map<String, Value> =
        (0..levels).map(|level| (format!("D{level}"), definition(level))).collect();
    definitions.insert(format!("D{levels}"), json!({ "type": "integer" }));
    json!({ "type": "object", "properties": { "x": { "$ref": "#/definitions/D0" } }, "definitions": definitions })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schema_that_fans_out_is_answered_by_the_function_that_checks_it() {
    let stage = Stage::new().await;
    let deployment = deployment(&stage, &fan_out(14, 3)).await;
    let bodies = [(json!({ "parameters": { "x": "no number" } }).to_string(), Some("schema_"))];
    try_all(&stage, &deployment, "create_flow_run_from_deployment", &bodies).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_chain_of_references_is_answered_by_the_function_that_stores_it() {
    let stage = Stage::new().await;
    let deployment = deployment(&stage, &json!({})).await;
    let body = json!({
        "name": "chain", "flow_id": deployment, "parameter_openapi_schema": fan_out(50_000, 1), "parameters": { "x": 1 },
        "enforce_parameter_schema": true,
    });
    try_all(&stage, &deployment, "create_deployment", &[(body.to_string(), Some("schema_"))]).await;
}
