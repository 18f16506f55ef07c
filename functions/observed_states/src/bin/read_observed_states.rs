//! The Lambda function `read_observed_states`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&observed_states::read::ROUTE)
}
