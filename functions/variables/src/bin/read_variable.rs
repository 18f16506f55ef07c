//! The Lambda function `read_variable`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&variables::read::ROUTE)
}
