//! The Lambda function `install_system_block_types`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&block_types::install::ROUTE)
}
