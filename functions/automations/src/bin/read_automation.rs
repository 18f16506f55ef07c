//! The Lambda function `read_automation`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&automations::read::ROUTE)
}
