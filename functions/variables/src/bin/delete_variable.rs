//! The Lambda function `delete_variable`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&variables::delete::ROUTE)
}
