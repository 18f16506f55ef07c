//! The Lambda function `authorize_origin`.

fn main() -> std::process::ExitCode {
    common::lambda::run_origin_authorizer()
}
