//! The Lambda function `read_block_types`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&block_types::filter::ROUTE)
}
