//! The Lambda function `bulk_create_flow_runs_from_deployment`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&deployments::create_flow_runs::ROUTE)
}
