//! The Lambda function `read_flows`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&flows::filter::ROUTE)
}
