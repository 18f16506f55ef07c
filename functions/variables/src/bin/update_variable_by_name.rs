//! The Lambda function `update_variable_by_name`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&variables::update_by_name::ROUTE)
}
