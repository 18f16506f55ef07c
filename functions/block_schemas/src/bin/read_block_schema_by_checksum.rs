//! The Lambda function `read_block_schema_by_checksum`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&block_schemas::read_by_checksum::ROUTE)
}
