//! The Lambda function `read_block_schemas`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&block_schemas::filter::ROUTE)
}
