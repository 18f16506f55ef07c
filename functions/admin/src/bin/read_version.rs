//! The Lambda function `read_version`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&admin::read_version::ROUTE)
}
