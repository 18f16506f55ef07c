//! The Lambda function `read_flow_runs`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&flow_runs::filter::ROUTE)
}
