//! The Lambda function `read_block_document_by_id`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&block_documents::read::ROUTE)
}
