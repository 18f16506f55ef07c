//! The Lambda function `read_flow_run_input`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&flow_runs::read_flow_run_input::ROUTE)
}
