//! The Lambda function `create_deployment_schedules`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&deployments::schedules::create::ROUTE)
}
