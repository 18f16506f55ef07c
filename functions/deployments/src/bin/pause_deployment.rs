//! The Lambda function `pause_deployment`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&deployments::pause::ROUTE)
}
