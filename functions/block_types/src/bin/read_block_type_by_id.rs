//! The Lambda function `read_block_type_by_id`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&block_types::read::ROUTE)
}
