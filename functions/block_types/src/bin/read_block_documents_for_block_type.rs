//! The Lambda function `read_block_documents_for_block_type`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&block_types::block_documents::ROUTE)
}
