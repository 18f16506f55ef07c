//! The Lambda function `read_block_type_by_slug`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&block_types::read_by_slug::ROUTE)
}
