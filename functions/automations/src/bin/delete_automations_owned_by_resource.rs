//! The Lambda function `delete_automations_owned_by_resource`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&automations::delete_owned_by::ROUTE)
}
