//! The Lambda function `create_automation`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&automations::create::ROUTE)
}
