//! The Lambda function `update_block_document_data`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&block_documents::update::ROUTE)
}
