//! The Lambda function `bulk_delete_deployments`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&deployments::bulk_delete::ROUTE)
}
