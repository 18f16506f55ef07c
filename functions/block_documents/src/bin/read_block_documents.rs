//! The Lambda function `read_block_documents`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&block_documents::filter::ROUTE)
}
