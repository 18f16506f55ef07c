//! The Lambda function `read_deployment_by_name`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&deployments::read_by_name::ROUTE)
}
