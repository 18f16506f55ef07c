//! Cold start: how long a function takes from `exec` to its first answer, and where the time goes.
//!
//! Starts a function's binary again and again under a minimal Lambda runtime API (AWS: "Using the Lambda runtime API")
//! and an endpoint in DynamoDB's place that answers `{}` at once. So it measures our process alone: neither Lambda's
//! preparation of the sandbox, nor the network, nor the TLS handshake.

use std::{
    collections::BTreeMap,
    future::pending,
    path::PathBuf,
    process::{ExitCode, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use clap::Parser;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpListener,
    process::Command,
    sync::Notify,
};

/// Measures how long functions take to start.
#[derive(Debug, Parser)]
#[command(name = "cold_start")]
struct Options {
    /// The functions, by the names of their binaries; each gets its sample of events/.
    #[arg(default_values = ["health_check", "create_flow"])]
    functions: Vec<String>,

    /// Where the binaries are.
    #[arg(long, value_name = "DIR", default_value = "target/release")]
    binaries: PathBuf,

    /// How often each one is started.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..))]
    starts: u32,

    /// A further variable of the functions' environment, such as `SSL_CERT_FILE=/dev/null`.
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    env: Vec<(String, String)>,
}

fn variable(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once('=').ok_or("it is NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// How long a start may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The moments of a start, in their order; what a row of the table ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Moment {
    Main,
    Configured,
    Connected,
    Ready,
    Answered,
    AskedAgain,
    AnsweredAgain,
}

/// The rows of the table: from which moment to which, and what happens in between. None is the start of the process.
const PARTS: [(&str, Option<Moment>, Moment); 7] = [
    ("exec to main: loader, logging", None, Moment::Main),
    ("settings and SDK configuration", Some(Moment::Main), Moment::Configured),
    ("DynamoDB client", Some(Moment::Configured), Moment::Connected),
    ("service, first poll of the runtime API", Some(Moment::Connected), Moment::Ready),
    ("first request", Some(Moment::Ready), Moment::Answered),
    ("**exec to first answer**", None, Moment::Answered),
    ("second request, for comparison", Some(Moment::AskedAgain), Moment::AnsweredAgain),
];

/// The moments that the function itself tells of, by the messages that it logs.
const TOLD: [(&str, Moment); 3] = [
    ("the function starts", Moment::Main),
    ("the SDK is configured", Moment::Configured),
    ("the client is made", Moment::Connected),
];

/// One start of a function.
#[derive(Debug, Default)]
struct Start {
    moments: Mutex<BTreeMap<Moment, Instant>>,
    failure: Mutex<Option<String>>,
    over: Notify,
}

impl Start {
    /// Notes that `moment` has come, if it is the first time.
    fn note(&self, moment: Moment) {
        let now = Instant::now();
        self.moments.lock().unwrap_or_else(PoisonError::into_inner).entry(moment).or_insert(now);
    }

    fn has(&self, moment: Moment) -> bool {
        self.moments.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&moment)
    }

    fn fail(&self, message: String) {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(message);
        self.over.notify_one();
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match measure(&Options::parse()).await {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("cold_start: {problem}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(options: &Options) -> Result<String, String> {
    let mut columns = Vec::new();
    for function in &options.functions {
        let mut times: BTreeMap<&'static str, Vec<Duration>> = BTreeMap::new();
        let mut resident = Vec::new();
        for _ in 0..options.starts {
            let (started, moments, kilobytes) = start(options, function).await?;
            resident.push(kilobytes);
            for (part, from, to) in PARTS {
                let from = from.map_or(Some(started), |from| moments.get(&from).copied());
                let (Some(from), Some(to)) = (from, moments.get(&to)) else {
                    return Err(format!("{function} did not tell when: {part}"));
                };
                times.entry(part).or_default().push(to.saturating_duration_since(from));
            }
        }
        let binary = std::fs::metadata(options.binaries.join(function)).map_err(|error| error.to_string())?;
        columns.push(Column { function: function.clone(), times, resident, bytes: binary.len() });
    }
    let mut rows = vec![
        row("part", columns.iter().map(|column| column.function.clone())),
        row("---", columns.iter().map(|_| "--:".to_owned())),
    ];
    for (part, ..) in PARTS {
        let times = columns.iter().map(|column| median(column.times.get(part).cloned().unwrap_or_default()));
        rows.push(row(part, times.map(|time| format!("{:.2}", time.unwrap_or_default().as_secs_f64() * 1_000.0))));
    }
    let resident = columns.iter().map(|column| f64::from(median(column.resident.clone()).unwrap_or_default()));
    rows.push(row("resident after the second", resident.map(|kilobytes| format!("{:.1} MB", kilobytes / 1_024.0))));
    let sizes = columns.iter().map(|column| format!("{} MB", column.bytes / 1_000_000));
    rows.push(row("binary", sizes));
    Ok(format!("Median of {} starts, milliseconds.\n\n{}", options.starts, rows.join("\n")))
}

/// What was measured of one function.
struct Column {
    function: String,
    times: BTreeMap<&'static str, Vec<Duration>>,
    /// Kilobytes.
    resident: Vec<u32>,
    /// The size of the binary.
    bytes: u64,
}

fn row(title: &str, cells: impl Iterator<Item = String>) -> String {
    let cells: Vec<String> = std::iter::once(title.to_owned()).chain(cells).collect();
    format!("| {} |", cells.join(" | "))
}

/// Starts `function` once; returns when it was started, its moments, and its resident memory in kilobytes.
async fn start(options: &Options, function: &str) -> Result<(Instant, BTreeMap<Moment, Instant>, u32), String> {
    let sample = format!("events/{function}.json");
    let event = std::fs::read(&sample).map_err(|error| format!("{sample}: {error}"))?;
    let start = Arc::new(Start::default());
    let port = serve(Arc::clone(&start), event.into()).await.map_err(|error| error.to_string())?;
    let binary = options.binaries.join(function);
    let mut command = Command::new(&binary);
    command
        .env_clear()
        .env("AWS_LAMBDA_RUNTIME_API", format!("127.0.0.1:{port}"))
        .env("AWS_LAMBDA_FUNCTION_NAME", function)
        .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
        .env("AWS_LAMBDA_LOG_GROUP_NAME", "log")
        .env("AWS_LAMBDA_LOG_STREAM_NAME", "log")
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "none")
        .env("AWS_SECRET_ACCESS_KEY", "none")
        .env("AWS_ENDPOINT_URL_DYNAMODB", format!("http://127.0.0.1:{port}/dynamodb"))
        .env("PROCTOR_AUTH_MODE", "none")
        .env("PREFECT_SERVER_LOGGING_LEVEL", "common=debug")
        .envs(options.env.iter().map(|(name, value)| (name, value)))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let started = Instant::now();
    let mut child = command.spawn().map_err(|error| format!("{}: {error}", binary.display()))?;
    if let Some(log) = child.stderr.take() {
        let start = Arc::clone(&start);
        tokio::spawn(async move {
            let mut lines = BufReader::new(log).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                match TOLD.iter().find(|(message, _)| line.contains(message)) {
                    Some((_, moment)) => start.note(*moment),
                    None => eprintln!("{line}"),
                }
            }
        });
    }
    tokio::select! {
        () = start.over.notified() => {}
        ended = child.wait() => return Err(format!("{function} ended by itself: {ended:?}")),
        () = tokio::time::sleep(PATIENCE) => return Err(format!("{function} gave no answer in time")),
    }
    if let Some(failure) = start.failure.lock().unwrap_or_else(PoisonError::into_inner).take() {
        return Err(format!("{function}: {failure}"));
    }
    let resident = child.id().and_then(resident_kilobytes).unwrap_or_default();
    child.kill().await.map_err(|error| error.to_string())?;
    let moments = start.moments.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Ok((started, moments, resident))
}

fn resident_kilobytes(process: u32) -> Option<u32> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.split_whitespace().next()?.parse().ok()
}

/// Serves the runtime API and DynamoDB's stand-in for one start, on a port of its own.
async fn serve(start: Arc<Start>, event: Bytes) -> std::io::Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (start, event) = (Arc::clone(&start), event.clone());
            let service = service_fn(move |request: Request<Incoming>| {
                let (start, event) = (Arc::clone(&start), event.clone());
                async move { answer(&start, event, request).await }
            });
            tokio::spawn(async move {
                // The function is killed in the middle of its last poll.
                let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    Ok(port)
}

async fn answer(
    start: &Start,
    event: Bytes,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    let mut response = Response::new(Full::default());
    if path.starts_with("/dynamodb") {
        body.collect().await?;
        response.headers_mut().insert("content-type", http::HeaderValue::from_static("application/x-amz-json-1.0"));
        *response.body_mut() = Full::from("{}");
    } else if head.method == Method::GET {
        if start.has(Moment::AnsweredAgain) {
            return pending().await;
        }
        start.note(if start.has(Moment::Answered) { Moment::AskedAgain } else { Moment::Ready });
        for (name, value) in [
            ("lambda-runtime-aws-request-id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd"),
            ("lambda-runtime-deadline-ms", "4102444800000"),
            ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:us-east-1:123456789012:function:measured"),
            ("lambda-runtime-trace-id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=0"),
        ] {
            response.headers_mut().insert(name, http::HeaderValue::from_static(value));
        }
        *response.body_mut() = Full::from(event);
    } else {
        let is_first = !start.has(Moment::Answered);
        let body = body.collect().await?.to_bytes();
        start.note(if is_first { Moment::Answered } else { Moment::AnsweredAgain });
        let answer: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        let is_good = path.ends_with("/response") && answer["statusCode"].as_u64().is_some_and(|status| status < 300);
        if !is_good {
            start.fail(format!("{path}: {}", String::from_utf8_lossy(&body)));
        } else if !is_first {
            start.over.notify_one();
        }
        *response.status_mut() = StatusCode::ACCEPTED;
    }
    Ok(response)
}

fn median<T: Ord + Copy>(mut values: Vec<T>) -> Option<T> {
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_follow_each_other_without_a_gap() {
        let parts = PARTS.iter().take_while(|(_, _, to)| *to <= Moment::Answered).take(5);
        let mut before = None;
        for (part, from, to) in parts {
            assert_eq!(*from, before, "{part}");
            before = Some(*to);
        }
        assert_eq!(before, Some(Moment::Answered));
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(vec![3, 1, 2]), Some(2));
        assert_eq!(median::<u32>(Vec::new()), None);
    }
}
