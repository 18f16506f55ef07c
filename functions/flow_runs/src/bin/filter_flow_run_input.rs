//! The Lambda function `filter_flow_run_input`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&flow_runs::filter_flow_run_input::ROUTE)
}
