//! The Lambda function `count_deployments`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&deployments::count::ROUTE)
}
