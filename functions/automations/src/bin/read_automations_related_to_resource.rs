//! The Lambda function `read_automations_related_to_resource`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&automations::related_to::ROUTE)
}
