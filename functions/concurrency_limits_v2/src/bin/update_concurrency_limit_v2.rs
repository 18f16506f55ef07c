//! The Lambda function `update_concurrency_limit_v2`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&concurrency_limits_v2::update::ROUTE)
}
