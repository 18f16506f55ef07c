//! The Lambda function `update_block_type`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&block_types::update::ROUTE)
}
