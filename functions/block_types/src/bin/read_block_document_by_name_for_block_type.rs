//! The Lambda function `read_block_document_by_name_for_block_type`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&block_types::block_document_by_name::ROUTE)
}
