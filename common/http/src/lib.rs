//! HTTP: routes, the extraction of validated requests, and the service made of them.
//!
//! A request meets, from the outside in: the boundary ([`boundary`]: cost, one log line, explanation headers), the
//! router, the contract ([`contract_layer`]: validation of path, query, headers and body as Prefect does it), and
//! the handler, which takes typed values out of the validated request ([`extract`]).

mod authentication;
mod boundary;
pub mod bulk;
pub mod connection;
mod contract_layer;
mod cors;
mod csrf;
mod documents;
mod endpoint;
pub mod extract;
mod json;
pub mod limits;
mod lossy_path;
pub mod page;
pub mod route;
pub mod ui;
mod unrouted;

pub use extract::{Body, Headers, Path, Query, Sent};
pub use json::Json;
pub use route::{Method, Pages, Route, fallback, server, service};
pub use settings::PREFIX;

/// The largest request body that is read, in bytes: what Lambda takes in a synchronous invocation.
pub const LARGEST_BODY: usize = 6 * 1024 * 1024;
