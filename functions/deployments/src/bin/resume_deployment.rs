//! The Lambda function `resume_deployment`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&deployments::resume::ROUTE)
}
