//! The Lambda function `create_concurrency_limit`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&concurrency_limits::create::ROUTE)
}
