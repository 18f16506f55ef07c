//! The Lambda function `read_deployment_schedules`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&deployments::schedules::read::ROUTE)
}
