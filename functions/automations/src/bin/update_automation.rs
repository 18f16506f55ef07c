//! The Lambda function `update_automation`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&automations::update::ROUTE)
}
