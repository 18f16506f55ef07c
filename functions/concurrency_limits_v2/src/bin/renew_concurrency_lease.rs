//! The Lambda function `renew_concurrency_lease`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&concurrency_limits_v2::renew_lease::ROUTE)
}
