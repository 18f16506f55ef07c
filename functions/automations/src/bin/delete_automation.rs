//! The Lambda function `delete_automation`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&automations::delete::ROUTE)
}
