//! The Lambda function `paginate_deployments`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&deployments::paginate::ROUTE)
}
