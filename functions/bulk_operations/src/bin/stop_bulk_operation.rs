//! The Lambda function `stop_bulk_operation`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&bulk_operations::stop::ROUTE)
}
