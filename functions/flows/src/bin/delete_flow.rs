//! The Lambda function `delete_flow`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&flows::delete::ROUTE)
}
