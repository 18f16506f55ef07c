//! Cold start: how long a function takes from `exec` to its first answer, and where the time goes.
//!
//! Starts a function's binary again and again under a minimal Lambda runtime API (AWS: "Using the Lambda runtime API")
//! and an endpoint in DynamoDB's place that answers `{}` at once. So it measures our process alone: neither Lambda's
//! preparation of the sandbox, nor the network, nor the TLS handshake.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    process::{ExitCode, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use clap::Parser;
use runtime_api::{Function, Outcome};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpListener,
    process::ChildStderr,
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

/// The moments of one start.
#[derive(Debug, Default)]
struct Moments(Mutex<BTreeMap<Moment, Instant>>);

impl Moments {
    /// Notes when `moment` came, if it is the first time.
    fn note(&self, moment: Moment, at: Instant) {
        self.lock().entry(moment).or_insert(at);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Moment, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
    let event = Bytes::from(std::fs::read(&sample).map_err(|error| format!("{sample}: {error}"))?);
    let database = serve_nothing().await.map_err(|error| error.to_string())?;
    let variables = [
        ("AWS_ENDPOINT_URL_DYNAMODB", database.as_str()),
        ("PROCTOR_AUTH_MODE", "none"),
        ("PREFECT_SERVER_LOGGING_LEVEL", "common=debug"),
    ];
    let variables =
        variables.into_iter().chain(options.env.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let moments = Arc::new(Moments::default());
    let started = Instant::now();
    let mut running = Function::start(&options.binaries, function, variables, Stdio::piped()).await?;
    if let Some(log) = running.process().stderr.take() {
        tokio::spawn(listen(log, Arc::clone(&moments)));
    }
    let mut resident = 0;
    for (taken, answered) in [(Moment::Ready, Moment::Answered), (Moment::AskedAgain, Moment::AnsweredAgain)] {
        let invocation = tokio::time::timeout(PATIENCE, running.invoke(event.clone()))
            .await
            .map_err(|_| format!("{function} gave no answer in time"))?;
        match invocation.outcome {
            Outcome::Answered(answer) if answer["statusCode"].as_u64().is_some_and(|status| status < 300) => {}
            other => return Err(format!("{function}: {other:?}")),
        }
        moments.note(taken, invocation.taken);
        moments.note(answered, invocation.over);
        resident = running.process().id().and_then(resident_kilobytes).unwrap_or_default();
    }
    running.kill().await.map_err(|error| error.to_string())?;
    let moments = moments.lock().clone();
    Ok((started, moments, resident))
}

/// Notes the moments that the function tells of in its log.
async fn listen(log: ChildStderr, moments: Arc<Moments>) {
    let mut lines = BufReader::new(log).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        match TOLD.iter().find(|(message, _)| line.contains(message)) {
            Some((_, moment)) => moments.note(*moment, Instant::now()),
            None => eprintln!("{line}"),
        }
    }
}

fn resident_kilobytes(process: u32) -> Option<u32> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.split_whitespace().next()?.parse().ok()
}

/// Serves what stands in DynamoDB's place for one start; returns its URL.
async fn serve_nothing() -> std::io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let empty = || async { ([(http::header::CONTENT_TYPE, "application/x-amz-json-1.0")], "{}") };
    tokio::spawn(axum::serve(listener, axum::Router::new().fallback(empty)).into_future());
    Ok(url)
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
