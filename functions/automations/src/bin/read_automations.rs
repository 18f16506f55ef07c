//! The Lambda function `read_automations`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&automations::filter::ROUTE)
}
