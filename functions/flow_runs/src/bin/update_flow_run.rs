//! The Lambda function `update_flow_run`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&flow_runs::update::ROUTE)
}
