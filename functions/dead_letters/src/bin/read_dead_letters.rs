//! The Lambda function `read_dead_letters`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&dead_letters::read_all::ROUTE)
}
