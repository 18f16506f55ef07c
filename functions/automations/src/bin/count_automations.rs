//! The Lambda function `count_automations`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&automations::count::ROUTE)
}
