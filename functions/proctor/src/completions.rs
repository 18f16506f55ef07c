//! `completions`: prints the script by which a shell completes the commands and options of the program.

use clap::{Args, Command};
use clap_complete::Shell;

/// The arguments of `completions`.
#[derive(Clone, Copy, Debug, Args)]
pub struct Arguments {
    /// The shell that reads the script.
    shell: Shell,
}

/// Returns the script for `program`.
pub fn carry_out(arguments: Arguments, program: &mut Command) -> String {
    let (name, mut script) = (program.get_name().to_owned(), Vec::new());
    clap_complete::generate(arguments.shell, program, name, &mut script);
    String::from_utf8_lossy(&script).trim_end().to_owned()
}
