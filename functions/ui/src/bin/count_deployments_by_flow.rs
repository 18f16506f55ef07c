//! The Lambda function `count_deployments_by_flow`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&ui::count_deployments::ROUTE)
}
