//! The Lambda function `update_deployment_schedule`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&deployments::schedules::update::ROUTE)
}
