//! The two servers: starting, pausing and ending them.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::http::{Connection, Endpoint};
use crate::machine;

/// How long a server may take to answer first.
const START_LIMIT: Duration = Duration::from_mins(2);

/// How long a server may take to shut down.
const STOP_LIMIT: Duration = Duration::from_secs(15);

/// How a server comes up.
#[derive(Debug, Clone)]
pub(crate) enum Launch {
    /// The real Prefect server, from a Python environment.
    Oracle { env: PathBuf },
    /// This project's server.
    Subject { binary: PathBuf, on_file: bool },
    /// It runs already.
    Running(Endpoint),
}

impl Launch {
    /// Starts the server with an empty database and waits until it is healthy.
    ///
    /// Returns the time from the process's start to the first 200 of its health route, none if it ran already.
    pub(crate) async fn start(&self) -> Result<(Server, Option<Duration>), String> {
        let home = TempDir::new().map_err(|error| error.to_string())?;
        let (command, endpoint) = match self {
            Self::Oracle { env } => oracle(env, home.path())?,
            Self::Subject { binary, on_file } => subject(binary, *on_file, home.path())?,
            Self::Running(endpoint) => {
                let mut connection = Connection::new(endpoint.clone());
                connection.get("/health").await.map_err(|error| format!("{}: {error}", endpoint.authority()))?;
                return Ok((Server { endpoint: endpoint.clone(), process: None }, None));
            }
        };
        Server::spawn(command, endpoint, home).await.map(|(server, time)| (server, Some(time)))
    }
}

fn free_port() -> Result<u16, String> {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    port.map(|address| address.port()).map_err(|error| error.to_string())
}

fn oracle(env: &Path, home: &Path) -> Result<(Command, Endpoint), String> {
    let port = free_port()?;
    let mut command = Command::new(env.join("bin/prefect"));
    command
        .args(["server", "start", "--host", "127.0.0.1", "--port", &port.to_string()])
        .env("PREFECT_HOME", home)
        .env("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
        .env("DO_NOT_TRACK", "1")
        .env("PREFECT_API_DATABASE_CONNECTION_URL", format!("sqlite+aiosqlite:///{}", database(home).display()));
    Ok((command, Endpoint::local(port)))
}

/// Where a started oracle keeps its database.
fn database(home: &Path) -> PathBuf {
    home.join("oracle.db")
}

fn subject(binary: &Path, on_file: bool, home: &Path) -> Result<(Command, Endpoint), String> {
    let port = free_port()?;
    let mut command = Command::new(binary);
    if on_file {
        command.arg("--data").arg(home.join("data"));
    } else {
        command.arg("--in-memory");
    }
    // Without assets it would fetch them, and be measured at that.
    command.args(["--no-ui", "--host", "127.0.0.1", "--port", &port.to_string()]);
    Ok((command, Endpoint::local(port)))
}

/// A server that answers.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) endpoint: Endpoint,
    process: Option<Process>,
}

/// A process that this benchmark started, killed when dropped.
#[derive(Debug)]
struct Process {
    child: Child,
    pid: Pid,
    home: TempDir,
}

impl Server {
    async fn spawn(mut command: Command, endpoint: Endpoint, home: TempDir) -> Result<(Self, Duration), String> {
        let program = command.as_std().get_program().to_string_lossy().into_owned();
        let path = home.path().join("server.log");
        let log = File::create(&path).map_err(|error| error.to_string())?;
        let errors = log.try_clone().map_err(|error| error.to_string())?;
        let started = Instant::now();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("cannot start {program}: {error}"))?;
        let mut connection = Connection::new(endpoint.clone());
        while !connection.get("/health").await.is_ok_and(|answer| answer.status == 200) {
            let ended = child.try_wait().map_err(|error| error.to_string())?;
            if ended.is_some() || started.elapsed() > START_LIMIT {
                let log = std::fs::read_to_string(&path).unwrap_or_default();
                return Err(format!("{program} does not answer; its output:\n{log}"));
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let time = started.elapsed();
        let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| format!("{program} ended right after it answered"))?;
        Ok((Self { endpoint, process: Some(Process { child, pid, home }) }, time))
    }

    /// The database file of an oracle that this benchmark started.
    pub(crate) fn database(&self) -> Option<PathBuf> {
        self.process.as_ref().map(|process| database(process.home.path())).filter(|path| path.exists())
    }

    /// Resident memory in bytes, known of a process that this benchmark started.
    pub(crate) fn resident(&self) -> Option<u64> {
        self.process.as_ref()?.child.id().and_then(machine::resident)
    }

    /// Stops the process's clock, so that its background services cost the other server nothing.
    pub(crate) fn pause(&self) -> Result<(), String> {
        self.signal(Signal::STOP)
    }

    /// Lets the process run on.
    pub(crate) fn resume(&self) -> Result<(), String> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> Result<(), String> {
        match &self.process {
            Some(process) => kill_process(process.pid, signal).map_err(|error| error.to_string()),
            None => Ok(()),
        }
    }

    /// Ends the process, in order if it can, and removes its files.
    pub(crate) async fn stop(mut self) -> Result<(), String> {
        self.resume()?;
        self.signal(Signal::TERM)?;
        if let Some(process) = &mut self.process
            && tokio::time::timeout(STOP_LIMIT, process.child.wait()).await.is_err()
        {
            process.child.kill().await.map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}
