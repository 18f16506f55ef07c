//! What a Python is asked: where the package is, to fetch it, and to read the text of modules. It runs none of Prefect.

use std::{
    ffi::OsStr,
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;

use super::Failure;

const LOCATE: &str = include_str!("locate.py");

const UNPACK: &str = include_str!("unpack.py");

/// Returns the folder that `python` has Prefect installed in; nothing if it has none.
pub(super) fn installed(python: &Path) -> Result<Option<PathBuf>, Failure> {
    const PURPOSE: &str = "look for Prefect";
    let output = run(python, ["-c", LOCATE], PURPOSE, b"")?;
    let folder: Option<PathBuf> = serde_json::from_slice(&output)
        .map_err(|error| Failure::Python(python.to_owned(), PURPOSE, error.to_string()))?;
    Ok(folder)
}

/// Has pip fetch the wheel of `requirement` into `folder`.
pub(super) fn download(python: &Path, requirement: &str, folder: &Path) -> Result<(), Failure> {
    // Only wheels: whatever else pip fetches it would build, with the package's code.
    let options = ["-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check", "--no-deps"];
    let arguments = options.map(OsStr::new).into_iter().chain([
        OsStr::new("--only-binary=:all:"),
        OsStr::new("--dest"),
        folder.as_os_str(),
        OsStr::new(requirement),
    ]);
    run(python, arguments, "fetch Prefect", b"").map(drop)
}

/// Unpacks `wheel` into `folder`.
pub(super) fn unpack(python: &Path, wheel: &Path, folder: &Path) -> Result<(), Failure> {
    let arguments = ["-I", "-c", UNPACK].map(OsStr::new).into_iter().chain([wheel.as_os_str(), folder.as_os_str()]);
    match run(python, arguments, "unpack a wheel", b"") {
        Err(Failure::Python(_, _, told)) => Err(Failure::Damaged(wheel.to_owned(), told)),
        done => done.map(drop),
    }
}

/// Runs `script` on `input`, without what the user or the folder has of modules; returns the JSON that it writes.
pub(super) fn evaluate(python: &Path, script: &str, input: &Value) -> Result<Value, Failure> {
    const PURPOSE: &str = "read Prefect's modules";
    let output = run(python, ["-I", "-c", script], PURPOSE, input.to_string().as_bytes())?;
    serde_json::from_slice(&output).map_err(|error| Failure::Python(python.to_owned(), PURPOSE, error.to_string()))
}

fn run<A: AsRef<OsStr>>(
    python: &Path,
    arguments: impl IntoIterator<Item = A>,
    purpose: &'static str,
    input: &[u8],
) -> Result<Vec<u8>, Failure> {
    let no_python = |error| Failure::NoPython(python.to_owned(), error);
    let mut command = Command::new(python);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(no_python)?;
    if let Some(mut stdin) = child.stdin.take() {
        match stdin.write_all(input) {
            // It ended before it read everything, and says why.
            Err(error) if error.kind() != ErrorKind::BrokenPipe => return Err(no_python(error)),
            _ => {}
        }
    }
    let Output { status, stdout, stderr } = child.wait_with_output().map_err(no_python)?;
    if status.success() {
        return Ok(stdout);
    }
    let told = String::from_utf8_lossy(&stderr);
    let told = if told.trim().is_empty() { status.to_string() } else { told.trim().trim_end_matches('.').to_owned() };
    Err(Failure::Python(python.to_owned(), purpose, told))
}
