//! Lambda's runtime API in small: runs built functions as Lambda does, for tests and measurements.
//!
//! A function asks for its next invocation and answers it over HTTP (AWS: "Using the Lambda runtime API"). Here one
//! process is served at a time, and everything that it says is kept.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Instant,
};

use axum::{
    Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use bytes::Bytes;
use http::StatusCode;
use serde_json::Value;
use tokio::{
    net::TcpListener,
    process::{Child, Command},
    sync::{Mutex, mpsc},
};

/// What a function made of an invocation.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Its answer.
    Answered(Value),
    /// The error that it reported, as JSON.
    Failed(String),
    /// Its process ended before it answered.
    Ended(String),
}

/// One invocation, after its end.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// When the function took it.
    pub taken: Instant,
    /// When its outcome was known.
    pub over: Instant,
    /// What became of it.
    pub outcome: Outcome,
}

/// A function's process.
#[derive(Debug)]
pub struct Function {
    child: Child,
    /// Gives invocations to the runtime API.
    invocations: mpsc::Sender<Bytes>,
    /// What the runtime API was asked for and told.
    told: mpsc::Receiver<Told>,
}

#[derive(Debug)]
enum Told {
    Taken(Instant),
    Over(Instant, Outcome),
}

/// What the runtime API of one process holds.
struct Runtime {
    invocations: Mutex<mpsc::Receiver<Bytes>>,
    told: mpsc::Sender<Told>,
}

impl Function {
    /// Starts the function `name` with nothing but `variables` and Lambda's own in its environment.
    ///
    /// `binaries` is the directory of the functions' binaries. The process is killed with the returned value.
    ///
    /// # Errors
    /// If the binary can't be run or no port can be listened on.
    pub async fn start<'v>(
        binaries: &Path,
        name: &str,
        variables: impl IntoIterator<Item = (&'v str, &'v str)>,
        stderr: Stdio,
    ) -> Result<Self, String> {
        let (invocations, given) = mpsc::channel(1);
        let (tells, told) = mpsc::channel(16);
        let runtime = Arc::new(Runtime { invocations: Mutex::new(given), told: tells });
        let port = serve(runtime).await.map_err(|error| error.to_string())?;
        let binary = binaries.join(name);
        let child = Command::new(&binary)
            .env_clear()
            .env("AWS_LAMBDA_RUNTIME_API", format!("127.0.0.1:{port}"))
            .env("AWS_LAMBDA_FUNCTION_NAME", name)
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .env("AWS_LAMBDA_LOG_GROUP_NAME", "log")
            .env("AWS_LAMBDA_LOG_STREAM_NAME", "log")
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "none")
            .env("AWS_SECRET_ACCESS_KEY", "none")
            .envs(variables)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("{} (cargo build --workspace makes it): {error}", binary.display()))?;
        Ok(Self { child, invocations, told })
    }

    /// Returns the process, for instance to read what it logs.
    pub fn process(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Gives the function `event` as its next invocation, and waits for the end of it or of the process.
    pub async fn invoke(&mut self, event: Bytes) -> Invocation {
        let mut taken = Instant::now();
        // The channel closes with the server, which lasts as long as this test's or measurement's runtime.
        let _ = self.invocations.send(event).await;
        loop {
            tokio::select! {
                biased;
                told = self.told.recv() => match told {
                    Some(Told::Taken(at)) => taken = at,
                    Some(Told::Over(over, outcome)) => return Invocation { taken, over, outcome },
                    None => return Invocation { taken, over: Instant::now(), outcome: Outcome::Ended("the server is gone".into()) },
                },
                ended = self.child.wait() => {
                    return Invocation { taken, over: Instant::now(), outcome: Outcome::Ended(format!("{ended:?}")) };
                }
            }
        }
    }

    /// Kills the process at once, and returns when it is gone.
    ///
    /// # Errors
    /// If there is no such process any more.
    pub async fn kill(mut self) -> std::io::Result<()> {
        self.child.kill().await
    }
}

/// Returns the directory of the binaries that were built in the same profile as this test's.
///
/// # Errors
/// If the test runs from somewhere else than Cargo's target directory.
pub fn binaries_beside_the_test() -> Result<PathBuf, String> {
    let test = std::env::current_exe().map_err(|error| error.to_string())?;
    let profile = test.ancestors().nth(2).ok_or("a test is in the directory deps of a profile's")?;
    Ok(profile.to_owned())
}

/// Serves the runtime API for one process; returns its port.
async fn serve(runtime: Arc<Runtime>) -> std::io::Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let routes = Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route("/2018-06-01/runtime/invocation/{id}/response", post(answered))
        .route("/2018-06-01/runtime/invocation/{id}/error", post(failed))
        .route("/2018-06-01/runtime/init/error", post(failed))
        .with_state(runtime);
    tokio::spawn(axum::serve(listener, routes).into_future());
    Ok(port)
}

async fn next(State(runtime): State<Arc<Runtime>>) -> Response {
    let Some(event) = runtime.invocations.lock().await.recv().await else {
        return StatusCode::GONE.into_response();
    };
    let _ = runtime.told.send(Told::Taken(Instant::now())).await;
    let headers = [
        ("lambda-runtime-aws-request-id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd"),
        ("lambda-runtime-deadline-ms", "4102444800000"),
        ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:us-east-1:123456789012:function:measured"),
        ("lambda-runtime-trace-id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=0"),
    ];
    (headers, event).into_response()
}

async fn answered(State(runtime): State<Arc<Runtime>>, body: Bytes) -> StatusCode {
    let over = Instant::now();
    let outcome = match serde_json::from_slice(&body) {
        Ok(answer) => Outcome::Answered(answer),
        Err(error) => Outcome::Failed(format!("the answer is no JSON: {error}")),
    };
    tell(&runtime, over, outcome).await
}

async fn failed(State(runtime): State<Arc<Runtime>>, body: Bytes) -> StatusCode {
    tell(&runtime, Instant::now(), Outcome::Failed(String::from_utf8_lossy(&body).into_owned())).await
}

async fn tell(runtime: &Runtime, over: Instant, outcome: Outcome) -> StatusCode {
    let _ = runtime.told.send(Told::Over(over, outcome)).await;
    StatusCode::ACCEPTED
}
