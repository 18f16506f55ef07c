//! The Lambda function `delete_deployment_schedule`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&deployments::schedules::delete::ROUTE)
}
