//! The Lambda function `read_concurrency_limit`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&concurrency_limits::read::ROUTE)
}
