//! The Lambda function `read_variables`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&variables::filter::ROUTE)
}
