//! The Lambda function `create_block_type`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&block_types::create::ROUTE)
}
