//! The Lambda function `flow_run_history`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&flow_runs::history::ROUTE)
}
