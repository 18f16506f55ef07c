//! The Lambda function `delete_concurrency_limit`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&concurrency_limits::delete::ROUTE)
}
