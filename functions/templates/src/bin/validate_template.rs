//! The Lambda function `validate_template`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&templates::validate::ROUTE)
}
