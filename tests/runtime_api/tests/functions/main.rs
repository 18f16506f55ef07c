//! The built functions, run as Lambda runs them, on an embedded database served over HTTP.
//!
//! The binaries are those of `cargo build --workspace` in the profile of the test.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod gate;
mod killed;
mod kms;
mod programs;
mod samples;
mod secrets;
mod stage;
mod work;
