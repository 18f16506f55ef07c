//! The Lambda function `create_events`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&events::create::ROUTE)
}
