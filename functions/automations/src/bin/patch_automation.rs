//! The Lambda function `patch_automation`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&automations::patch::ROUTE)
}
