//! The Lambda function `create_block_schema`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&block_schemas::create::ROUTE)
}
