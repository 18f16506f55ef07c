//! The Lambda function `count_flow_runs`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&flow_runs::count::ROUTE)
}
