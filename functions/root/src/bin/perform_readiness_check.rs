//! The Lambda function `perform_readiness_check`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&root::readiness_check::ROUTE)
}
