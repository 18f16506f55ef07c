//! The Lambda function `read_deployments`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&deployments::filter::ROUTE)
}
