//! The Lambda function `delete_concurrency_limit_by_tag`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&concurrency_limits::delete_by_tag::ROUTE)
}
