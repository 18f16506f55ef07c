//! The Lambda function `validate_template_of_automation`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&templates::validate_of_automation::ROUTE)
}
