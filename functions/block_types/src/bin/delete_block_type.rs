//! The Lambda function `delete_block_type`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&block_types::delete::ROUTE)
}
