//! The Lambda function `delete_dead_letter`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&dead_letters::delete::ROUTE)
}
