//! The Lambda function `create_deployment_branch`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&deployments::branch::ROUTE)
}
