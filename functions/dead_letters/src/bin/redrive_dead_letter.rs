//! The Lambda function `redrive_dead_letter`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&dead_letters::redrive::ROUTE)
}
