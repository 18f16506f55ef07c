//! What a command prints: text for a person, or one JSON document for a program.

use std::{
    fmt::Display,
    io::{self, ErrorKind, Write},
};

use clap::Args;
use serde::Serialize;

use crate::progress::Progress;

/// How a command shows its work and its outcome.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct Form {
    /// Prints one JSON document in place of text.
    #[arg(long, global = true)]
    pub json: bool,
    /// Shows no progress.
    #[arg(long, short, global = true)]
    pub quiet: bool,
}

impl Form {
    /// Begins to show how far the work is.
    pub fn progress(self) -> Progress {
        Progress::start(self.quiet)
    }

    /// Prints what came of the work.
    ///
    /// # Errors
    /// Those of standard output.
    pub fn print(self, report: &(impl Display + Serialize)) -> io::Result<()> {
        let text = if self.json { serde_json::to_string_pretty(report)? } else { report.to_string() };
        print(&text)
    }
}

/// Writes `text` and the end of its line to standard output.
///
/// # Errors
/// Those of standard output.
pub fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}

/// Says whether the reader of standard output has gone, as `head` does when it has what it wants.
pub fn is_unread(error: &io::Error) -> bool {
    error.kind() == ErrorKind::BrokenPipe
}
