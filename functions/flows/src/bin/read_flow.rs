//! The Lambda function `read_flow`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&flows::read::ROUTE)
}
