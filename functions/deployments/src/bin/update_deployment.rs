//! The Lambda function `update_deployment`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&deployments::update::ROUTE)
}
