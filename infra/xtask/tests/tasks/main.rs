//! The tasks do what they say, in the repository and in copies of it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod generated;
mod new_resource;
mod profiles;
mod repository;

use std::{
    path::Path,
    process::{Command, Output},
};

/// Runs `cargo xtask` with `arguments` in `directory`.
fn run(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_xtask")).args(arguments).current_dir(directory).output().unwrap()
}
