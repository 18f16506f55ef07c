//! The Lambda function `reset_concurrency_limit_by_tag`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&concurrency_limits::reset::ROUTE)
}
