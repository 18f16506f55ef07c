//! The Lambda function `read_deployment`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&deployments::read::ROUTE)
}
