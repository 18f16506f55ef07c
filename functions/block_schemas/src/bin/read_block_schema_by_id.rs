//! The Lambda function `read_block_schema_by_id`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&block_schemas::read::ROUTE)
}
