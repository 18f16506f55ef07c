//! The Lambda function `read_concurrency_limit_by_tag`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&concurrency_limits::read_by_tag::ROUTE)
}
