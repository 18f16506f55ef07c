//! The Lambda function `update_flow_run_labels`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&flow_runs::update_labels::ROUTE)
}
