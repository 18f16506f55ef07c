//! The Lambda function `create_flow_run`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&flow_runs::create::ROUTE)
}
