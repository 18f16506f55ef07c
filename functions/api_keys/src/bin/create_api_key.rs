//! The Lambda function `create_api_key`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&api_keys::create::ROUTE)
}
