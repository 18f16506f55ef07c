//! The Lambda function `read_bulk_operations`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&bulk_operations::read_all::ROUTE)
}
