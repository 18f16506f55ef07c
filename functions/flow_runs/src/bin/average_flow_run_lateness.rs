//! The Lambda function `average_flow_run_lateness`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&flow_runs::lateness::ROUTE)
}
