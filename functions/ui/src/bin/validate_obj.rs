//! The Lambda function `validate_obj`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&ui::validate::ROUTE)
}
