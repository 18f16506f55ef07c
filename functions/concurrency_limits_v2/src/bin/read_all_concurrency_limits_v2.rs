//! The Lambda function `read_all_concurrency_limits_v2`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&concurrency_limits_v2::filter::ROUTE)
}
