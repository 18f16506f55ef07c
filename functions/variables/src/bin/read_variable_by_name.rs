//! The Lambda function `read_variable_by_name`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&variables::read_by_name::ROUTE)
}
