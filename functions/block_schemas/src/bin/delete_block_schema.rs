//! The Lambda function `delete_block_schema`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&block_schemas::delete::ROUTE)
}
