//! The Lambda function `delete_block_document`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&block_documents::delete::ROUTE)
}
