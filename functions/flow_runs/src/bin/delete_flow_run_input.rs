//! The Lambda function `delete_flow_run_input`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&flow_runs::delete_flow_run_input::ROUTE)
}
