//! The Lambda function `schedule_deployment`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&deployments::schedule::ROUTE)
}
