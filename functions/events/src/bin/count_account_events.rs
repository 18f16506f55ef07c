//! The Lambda function `count_account_events`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&events::count_by::ROUTE)
}
