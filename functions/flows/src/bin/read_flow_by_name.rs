//! The Lambda function `read_flow_by_name`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&flows::read_by_name::ROUTE)
}
