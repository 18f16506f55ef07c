//! Why a task could not be done.

use std::{io, path::PathBuf};

/// Why a task could not be done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The current directory is in no workspace.
    #[error("no Cargo.toml with [workspace] is here or above")]
    Outside,
    /// A file or directory can't be read or written.
    #[error("{}: {_1}", _0.display())]
    File(PathBuf, #[source] io::Error),
    /// A source is no Rust.
    #[error("{}: {_1}", _0.display())]
    Source(PathBuf, #[source] syn::Error),
    /// A template or a sample is no JSON.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// A line between which something derived is written was removed.
    #[error("{}: the line {_1:?} is missing", _0.display())]
    Mark(PathBuf, &'static str),
    /// Two routes have one name, so that one binary would overwrite the other.
    #[error("two routes are called {0}")]
    Twice(String),
    /// A route has no `static` of its own, which its binary could name.
    #[error("no `pub static … : Route` in functions/{resource}/src declares {operation}")]
    Undeclared {
        /// The crate that lists the route.
        resource: &'static str,
        /// The route's name.
        operation: &'static str,
    },
    /// A route is declared, and would be served by nobody.
    #[error("{0} is not in the ROUTES of its crate")]
    Unlisted(String),
    /// A resource can't be called that.
    #[error("{0:?} is no name for a resource: a crate's name in snake_case is, which Rust has no other use for")]
    Name(String),
    /// A record can't be called that.
    #[error("{0:?} is no name for a record: one such as SavedSearch is")]
    Record(String),
    /// The name of a new resource is in use.
    #[error("{0} exists already: {1}")]
    Exists(String, &'static str),
    /// Cargo can't be started.
    #[error("cargo: {0}")]
    Cargo(#[source] io::Error),
    /// Cargo can't read the workspace.
    #[error("cargo metadata: {0}")]
    Workspace(String),
}

/// What a task returns, or why it could not be done.
pub type Result<T> = std::result::Result<T, Error>;
