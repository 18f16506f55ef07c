//! The Lambda function `work_queue_check_for_deployment`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&deployments::work_queue_check::ROUTE)
}
