//! The Lambda function `update_variable`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&variables::update::ROUTE)
}
