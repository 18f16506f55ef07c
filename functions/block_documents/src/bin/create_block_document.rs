//! The Lambda function `create_block_document`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&block_documents::create::ROUTE)
}
