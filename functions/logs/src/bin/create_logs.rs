//! The Lambda function `create_logs`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&logs::create::ROUTE)
}
