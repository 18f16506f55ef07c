//! The Lambda function `read_available_block_capabilities`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&block_capabilities::read::ROUTE)
}
