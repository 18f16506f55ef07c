//! The Lambda function `increment_concurrency_limits_v1`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&concurrency_limits::increment::ROUTE)
}
