//! The Lambda function `read_api_keys`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&api_keys::read_all::ROUTE)
}
