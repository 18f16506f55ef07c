//! The Lambda function `health_check`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&root::health_check::ROUTE)
}
