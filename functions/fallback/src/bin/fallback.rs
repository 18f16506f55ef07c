//! The Lambda function `fallback`.

fn main() -> std::process::ExitCode {
    common::lambda::run_fallback()
}
