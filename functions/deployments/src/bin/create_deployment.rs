//! The Lambda function `create_deployment`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&deployments::create::ROUTE)
}
