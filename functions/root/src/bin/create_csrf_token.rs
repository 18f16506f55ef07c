//! The Lambda function `create_csrf_token`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&root::create_csrf_token::ROUTE)
}
