//! The Lambda function `create_flow_run_from_deployment`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&deployments::create_flow_run::ROUTE)
}
