//! The Lambda function `count_block_documents`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&block_documents::count::ROUTE)
}
