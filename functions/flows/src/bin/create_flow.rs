//! The Lambda function `create_flow`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&flows::create::ROUTE)
}
