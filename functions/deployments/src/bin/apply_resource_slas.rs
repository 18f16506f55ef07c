//! The Lambda function `apply_resource_slas`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&deployments::slas::ROUTE_BY_RESOURCE)
}
