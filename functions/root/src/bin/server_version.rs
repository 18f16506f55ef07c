//! The Lambda function `server_version`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&root::version::ROUTE)
}
