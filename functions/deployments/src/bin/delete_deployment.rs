//! The Lambda function `delete_deployment`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&deployments::delete::ROUTE)
}
