//! The Lambda function `read_account_events_page`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&events::next_page::ROUTE)
}
