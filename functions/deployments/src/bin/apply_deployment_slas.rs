//! The Lambda function `apply_deployment_slas`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&deployments::slas::ROUTE)
}
