//! The Lambda function `update_flow`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&flows::update::ROUTE)
}
