//! The Lambda function `read_concurrency_limits`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&concurrency_limits::filter::ROUTE)
}
