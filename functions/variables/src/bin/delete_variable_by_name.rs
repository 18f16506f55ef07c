//! The Lambda function `delete_variable_by_name`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&variables::delete_by_name::ROUTE)
}
