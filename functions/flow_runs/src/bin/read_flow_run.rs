//! The Lambda function `read_flow_run`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&flow_runs::read::ROUTE)
}
