//! The Lambda function `count_variables`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&variables::count::ROUTE)
}
