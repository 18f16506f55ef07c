//! The Lambda function `create_variable`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&variables::create::ROUTE)
}
