//! The speed benchmark: this project's server and the real Prefect server, side by side on one machine.
//!
//! It needs no test framework and no timing assertions: it prints ratios, and with `--check` names the targets missed.

mod ceiling;
mod compare;
mod events;
mod http;
mod load;
mod machine;
mod options;
mod report;
mod runs;
mod scenario;
mod server;
mod statistics;

use std::process::ExitCode;

use clap::Parser;

use crate::options::Options;

/// One thread, so that the load generator leaves the other core to the measured server.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let options = Options::parse();
    let outcome = tokio::select! {
        outcome = run(&options) => outcome,
        _ = tokio::signal::ctrl_c() => Err("interrupted".to_owned()),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("[benchmark] {error}");
            ExitCode::from(2)
        }
    }
}

/// Measures, reports, and says whether the measured server did without errors and, if asked, reached its targets.
async fn run(options: &Options) -> Result<ExitCode, String> {
    if options.ceiling {
        print!("{}", ceiling::ceiling(options.round()).await?);
        return Ok(ExitCode::SUCCESS);
    }
    let machine = machine::describe();
    let comparison = compare::compare(options).await?;
    let missed = report::missed(options, &comparison);
    print!("{}", report::markdown(options, &machine, &comparison).map_err(|error| error.to_string())?);
    if let Some(path) = &options.json {
        let document = report::json(options, &machine, &comparison, &missed);
        let text = format!("{document:#}\n");
        std::fs::write(path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    let errors = comparison.subject_errors();
    if errors > 0 {
        eprintln!("[benchmark] {errors} requests failed on the subject");
    }
    if options.check {
        for target in &missed {
            eprintln!("[benchmark] missed: {target}");
        }
    }
    Ok(if errors > 0 || (options.check && !missed.is_empty()) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
