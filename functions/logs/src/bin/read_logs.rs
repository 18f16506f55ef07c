//! The Lambda function `read_logs`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&logs::filter::ROUTE)
}
