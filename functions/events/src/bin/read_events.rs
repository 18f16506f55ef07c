//! The Lambda function `read_events`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&events::filter::ROUTE)
}
