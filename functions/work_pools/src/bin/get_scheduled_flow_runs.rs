//! The Lambda function `get_scheduled_flow_runs`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&work_pools::get_scheduled_flow_runs::ROUTE)
}
