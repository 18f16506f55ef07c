//! The Lambda function `revoke_api_key`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&api_keys::revoke::ROUTE)
}
