//! The Lambda function `create_flow_run_input`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&flow_runs::create_flow_run_input::ROUTE)
}
