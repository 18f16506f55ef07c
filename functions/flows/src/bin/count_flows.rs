//! The Lambda function `count_flows`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&flows::count::ROUTE)
}
