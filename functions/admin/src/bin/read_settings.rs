//! The Lambda function `read_settings`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&admin::read_settings::ROUTE)
}
