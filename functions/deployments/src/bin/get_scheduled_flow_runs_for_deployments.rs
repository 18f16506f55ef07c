//! The Lambda function `get_scheduled_flow_runs_for_deployments`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&deployments::get_scheduled_flow_runs::ROUTE)
}
