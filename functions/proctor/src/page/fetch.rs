//! Fetching the interface's files in the background, when a server starts that has none.

use std::{
    ffi::OsStr,
    path::Path,
    process::{ExitStatus, Stdio},
    time::{Duration, Instant},
};

use common::assets::RELEASE;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{Child, Command},
    sync::watch,
};

/// How often it is told that the files are still being fetched.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// Whether the files are being fetched.
#[derive(Clone, Debug, Default)]
pub enum Fetching {
    /// They are not, or are there.
    #[default]
    No,
    /// They are on their way.
    Running {
        /// When that began.
        since: Instant,
    },
    /// They could not be had, for this reason.
    Failed(String),
}

/// Has `program`, which is this one, take the files into `folder`, and tells of it in `state` and in the log.
///
/// The command is a process of its own, so the API never waits for it, and the server can end before it does. Returns
/// whether the files are there.
pub async fn fetch(
    program: &Path,
    folder: &Path,
    state: watch::Sender<Fetching>,
    mut stopping: watch::Receiver<bool>,
) -> bool {
    let since = Instant::now();
    state.send_replace(Fetching::Running { since });
    eprintln!("proctor: fetches the files of Prefect {RELEASE} for the page in the background; the API is up");
    let begun = command(program, folder).spawn();
    let outcome = match begun {
        Ok(child) => tokio::select! {
            outcome = told(child, since) => outcome,
            _ = stopping.wait_for(|stop| *stop) => return false,
        },
        Err(error) => Err(error.to_string()),
    };
    let is_there = outcome.is_ok();
    if let Err(reason) = &outcome {
        eprintln!("proctor: the files for the page could not be fetched ({reason}); `/` says what to do");
    }
    state.send_replace(outcome.map_or_else(Fetching::Failed, |()| Fetching::No));
    is_there
}

fn command(program: &Path, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.args([OsStr::new("assets"), OsStr::new("--into"), folder.as_os_str()]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // A group of its own, which ends as a whole with the server: pip and Python are in it.
    command.process_group(0);
    command
}

/// A process whose group ends with this value.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            let _ = kill_process_group(group, Signal::TERM);
        }
    }
}

/// Passes on what the command says until it ends; returns why it failed.
async fn told(mut child: Child, since: Instant) -> Result<(), String> {
    let mut group = Group(child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)));
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let mut still = tokio::time::interval(TELL_EVERY);
    still.tick().await;
    let mut said = std::pin::pin!(async { tokio::join!(lines(stdout), lines(stderr)) });
    let (_, complaints) = loop {
        tokio::select! {
            said = &mut said => break said,
            _ = still.tick() => {
                eprintln!("proctor: still fetches the files for the page ({} s)", since.elapsed().as_secs());
            }
        }
    };
    let status: ExitStatus = child.wait().await.map_err(|error| error.to_string())?;
    // All of it has ended, and its number may be given to another.
    group.0 = None;
    if status.success() {
        return Ok(());
    }
    // What comes before the last line is how far it was.
    Err(complaints.last().cloned().unwrap_or_else(|| status.to_string()))
}

/// Passes on the lines that the command writes, and returns them.
async fn lines(output: Option<impl AsyncRead + Unpin>) -> Vec<String> {
    let mut said = Vec::new();
    let Some(output) = output else { return said };
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let line = line.trim_start_matches("proctor: ");
        eprintln!("proctor: {line}");
        said.push(line.to_owned());
    }
    said
}
