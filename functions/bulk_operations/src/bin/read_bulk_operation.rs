//! The Lambda function `read_bulk_operation`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&bulk_operations::read::ROUTE)
}
